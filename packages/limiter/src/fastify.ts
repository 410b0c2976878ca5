import { plugin } from '@spillway/kit/fastify'
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { type GateVerdict, listed, RateLimitGate, type RateLimitOptions } from './gate.js'

export type FastifyRateLimitOptions = RateLimitOptions<[request: FastifyRequest, reply: FastifyReply]>

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Another limit for this route, or `false` for none. */
    rateLimit?: FastifyRateLimitOptions | false
  }
}

type Gate = RateLimitGate<[FastifyRequest, FastifyReply]>

/**
 * Limits every route of the scope it is registered in, those registered earlier and unknown paths too. A refusal is
 * thrown before the body is parsed.
 *
 * ```ts
 * await app.register(rateLimit, { limit: 100, window: '15m' })
 * app.get('/health', { config: { rateLimit: false } }, handler)
 * ```
 *
 * @throws TypeError | RangeError `ERR_LIMITER_OPTION`
 */
export const rateLimit: FastifyPluginAsync<FastifyRateLimitOptions> = plugin(
  '@spillway/limiter',
  async (app: FastifyInstance, options: FastifyRateLimitOptions) => {
    const own: Gate = new RateLimitGate(options)
    const ofRoutes = new WeakMap<object, Gate>()
    app.addHook('onRequest', async (request, reply) => {
      const config = request.routeOptions.config.rateLimit
      if (config === false) return
      const gate = config === undefined ? own : gateOf(config, ofRoutes)
      const checked = gate.check(request.raw, reply.raw, request, reply)
      return apply(gate, checked instanceof Promise ? await checked : checked, request, reply)
    })
  },
)

function gateOf(config: FastifyRateLimitOptions, known: WeakMap<object, Gate>): Gate {
  let gate = known.get(config)
  if (gate === undefined) known.set(config, (gate = new RateLimitGate(config)))
  return gate
}

function apply(
  gate: Gate,
  { headers, decision, error }: GateVerdict,
  request: FastifyRequest,
  reply: FastifyReply,
): unknown {
  for (const name in headers) reply.header(name, listed(name, headers[name]!, reply.getHeader(name)))
  if (error === undefined || decision === undefined) return undefined
  const answer = gate.replyTo(decision, error.status)
  if (gate.handler === undefined && answer === undefined) throw error
  reply.headers(error.headers).code(error.status)
  if (gate.handler !== undefined) return gate.handler(request, reply) ?? reply
  if (answer?.type !== undefined) return reply.type(answer.type).send(JSON.stringify(answer.body))
  return reply.send(answer?.body)
}

export default rateLimit
