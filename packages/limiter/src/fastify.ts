import { createHash } from 'node:crypto'
import { applyVerdict, plugin, refuse } from '@spillway/kit/fastify'
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import type { Decision } from './bucket/decision.js'
import { clientAddress as addressOf, type ClientAddressOptions } from './http/client-address.js'
import { ConcurrencyGate, type LimitConcurrencyOptions } from './http/concurrency-gate.js'
import { decisionOn, type GateVerdict, joined, RateLimitGate } from './http/gate.js'
import { hasOwnLimiter, overriding } from './http/gate-options.js'
import type { RateLimitOptions } from './http/rate-limit-options.js'

type Args = [request: FastifyRequest, reply: FastifyReply]

/** Options of `rateLimit` on Fastify. */
export type FastifyRateLimitOptions = RateLimitOptions<Args>
/** Options of `limitConcurrency` on Fastify. */
export type FastifyLimitConcurrencyOptions = LimitConcurrencyOptions<Args>

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Another limit for this route, `false` for none. Other options are those of the plugin unless given here. */
    rateLimit?: FastifyRateLimitOptions | false
    /** `false`: requests of this route do not count. */
    limitConcurrency?: false
  }
}

type Gate = RateLimitGate<Args>

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
    const gateOf = (config: FastifyRateLimitOptions, route: Route): Gate => {
      let gate = ofRoutes.get(config)
      if (gate === undefined) {
        const used = overriding(options, config)
        // A route that says nothing about the limit itself counts in the limit of the app.
        gate = hasOwnLimiter(config)
          ? new RateLimitGate(used, scopeOf(route))
          : new RateLimitGate({ ...used, limiter: own.limiter })
        ofRoutes.set(config, gate)
      }
      return gate
    }
    // A mistake in a route's options shows when the route is registered, if that comes later than this plugin.
    app.addHook('onRoute', (route) => {
      if (route.config?.rateLimit) gateOf(route.config.rateLimit, route)
    })
    app.addHook('onRequest', (request, reply, done) => {
      const config = request.routeOptions.config.rateLimit
      if (config === false) {
        done()
        return
      }
      try {
        const gate = config === undefined ? own : gateOf(config, request.routeOptions)
        const verdict = gate.check(request.raw, reply.raw, request, reply)
        if (verdict instanceof Promise) {
          verdict
            .then((late) => apply(gate, late, request, reply, done))
            .catch((error) => refuse(error, reply, done))
        } else apply(gate, verdict, request, reply, done)
      } catch (error) {
        refuse(error, reply, done)
      }
    })
  },
)

interface Route {
  readonly method?: string | readonly string[] | undefined
  readonly url?: string | undefined
}

/**
 * Names the limiter of a route. A route registered before the plugin gets its limiter with its first request, in an order
 * that differs from process to process. A HEAD route, which Fastify adds, has the limiter of its GET route.
 */
function scopeOf({ method, url }: Route): string {
  const methods = method === 'HEAD' ? 'GET' : String(method)
  return createHash('sha256').update(`${methods} ${url}`).digest('hex').slice(0, 16)
}

/**
 * Limits how many requests of the scope are in flight at once, unknown paths too. What does not fit is thrown as a 503.
 *
 * @throws TypeError | RangeError `ERR_LIMITER_OPTION`
 */
export const limitConcurrency: FastifyPluginAsync<FastifyLimitConcurrencyOptions> = plugin(
  '@spillway/limiter concurrency',
  async (app: FastifyInstance, options: FastifyLimitConcurrencyOptions) => {
    const gate = new ConcurrencyGate<Args>(options)
    app.addHook('onRequest', (request, reply, done) => {
      if (request.routeOptions.config.limitConcurrency === false) {
        done()
        return
      }
      try {
        const waiting = gate.enter(request.raw, reply.raw, request, reply)
        if (waiting === undefined) done()
        else
          waiting.then(
            () => done(),
            (error) => refuse(error, reply, done),
          )
      } catch (error) {
        refuse(error, reply, done)
      }
    })
  },
)

export type { ClientAddressOptions } from './http/client-address.js'

/** The address of a client as `rateLimit` takes it for the key, for a `key` of your own. */
export function clientAddress(request: FastifyRequest, options?: ClientAddressOptions): string | undefined {
  return addressOf(request.raw, options)
}

/** The decision about a request, to settle its cost later. */
export function decisionOf(request: FastifyRequest): Decision | undefined {
  return decisionOn(request.raw)
}

function apply(
  gate: Gate,
  given: GateVerdict,
  request: FastifyRequest,
  reply: FastifyReply,
  done: (error?: Error) => void,
): void {
  const verdict = given.again ? joined(given, (name) => reply.getHeader(name)) : given
  const { error } = verdict
  if (error === undefined || !gate.answersItself) {
    applyVerdict(verdict, reply, done)
    return
  }
  reply.headers(error.headers).code(error.status)
  answer(gate, verdict, request, reply).catch(done)
}

async function answer(gate: Gate, verdict: GateVerdict, ...args: Args): Promise<void> {
  if (gate.handler !== undefined) {
    await gate.handler(...args)
    return
  }
  const { type, body } = await gate.replyTo(verdict, ...args)
  const [, reply] = args
  if (reply.sent) return
  if (type !== undefined) reply.type(type)
  reply.send(body)
}

export default rateLimit
