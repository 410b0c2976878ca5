import {
  applyVerdict,
  type OnRefused,
  type RefusalOptions,
  refusalOptions,
  refuse,
} from '@spillway/kit/express'
import type { NextFunction, Request, RequestHandler, Response } from 'express'
import type { Decision } from './bucket/decision.js'
import { ConcurrencyGate, type LimitConcurrencyOptions } from './http/concurrency-gate.js'
import { decisionOn, type GateVerdict, joined, RateLimitGate } from './http/gate.js'
import type { RateLimitOptions } from './http/rate-limit-options.js'

type Args = [req: Request, res: Response, next: NextFunction]

/** Options of `rateLimit` on Express. */
export type ExpressRateLimitOptions = RateLimitOptions<Args> & RefusalOptions
/** Options of `limitConcurrency` on Express. */
export type ExpressLimitConcurrencyOptions = LimitConcurrencyOptions<[req: Request, res: Response]> &
  RefusalOptions

/**
 * Limits the requests that pass through it. A refusal goes to the app's error handler, with its status and headers; when
 * the app has none, it is answered here. See `onRefused`.
 *
 * ```ts
 * app.use(rateLimit({ limit: 100, window: '15m' }))
 * ```
 *
 * @throws TypeError | RangeError `ERR_LIMITER_OPTION`
 */
export function rateLimit(options: ExpressRateLimitOptions): RequestHandler {
  const [onRefused, own] = refusalOptions<RateLimitOptions<Args>>('limiter', 'rateLimit', options)
  const gate = new RateLimitGate(own)
  return (req, res, next) => {
    try {
      const verdict = gate.check(req, res, req, res, next)
      if (verdict instanceof Promise) {
        verdict
          .then((late) => apply(gate, onRefused, late, req, res, next))
          .catch((error) => refuse(error, res, next, onRefused))
      } else apply(gate, onRefused, verdict, req, res, next)
    } catch (error) {
      refuse(error, res, next, onRefused)
    }
  }
}

/**
 * Limits how many requests are in flight at once. What does not fit goes to the app's error handler as a 503; when the app
 * has none, it is answered here. See `onRefused`.
 *
 * @throws TypeError | RangeError `ERR_LIMITER_OPTION`
 */
export function limitConcurrency(options: ExpressLimitConcurrencyOptions): RequestHandler {
  const [onRefused, own] = refusalOptions<LimitConcurrencyOptions<[Request, Response]>>(
    'limiter',
    'limitConcurrency',
    options,
  )
  const gate = new ConcurrencyGate(own)
  return (req, res, next) => {
    try {
      const waiting = gate.enter(req, res, req, res)
      if (waiting === undefined) next()
      else
        waiting.then(
          () => next(),
          (error) => refuse(error, res, next, onRefused),
        )
    } catch (error) {
      refuse(error, res, next, onRefused)
    }
  }
}

export { type ClientAddressOptions, clientAddress } from './http/client-address.js'

/** The decision about a request, to settle its cost later. */
export function decisionOf(req: Request): Decision | undefined {
  return decisionOn(req)
}

function apply(
  gate: RateLimitGate<Args>,
  onRefused: OnRefused,
  given: GateVerdict,
  req: Request,
  res: Response,
  next: NextFunction,
): void {
  const verdict = given.again ? joined(given, (name) => res.getHeader(name)) : given
  const { error } = verdict
  if (error === undefined || !gate.answersItself) {
    applyVerdict(verdict, res, next, onRefused)
    return
  }
  res.statusCode = error.status
  for (const name in error.headers) res.setHeader(name, error.headers[name]!)
  answer(gate, verdict, req, res, next).catch(next)
}

async function answer(gate: RateLimitGate<Args>, verdict: GateVerdict, ...args: Args): Promise<void> {
  if (gate.handler !== undefined) {
    await gate.handler(...args)
    return
  }
  const { type, body } = await gate.replyTo(verdict, ...args)
  const [, res] = args
  if (res.headersSent) return
  if (type !== undefined) res.setHeader('Content-Type', type)
  send(body, res)
}

/** Sends as Express would. On plain `node:http`, and on other frameworks that call `(req, res, next)`, there is no `res.send`. */
function send(body: unknown, res: Response): void {
  if (typeof res.send === 'function') {
    res.send(body)
    return
  }
  const isText = typeof body === 'string' || body instanceof Uint8Array
  if (!res.hasHeader('Content-Type')) {
    res.setHeader('Content-Type', isText ? 'text/plain; charset=utf-8' : 'application/json; charset=utf-8')
  }
  res.end(isText ? body : JSON.stringify(body))
}
