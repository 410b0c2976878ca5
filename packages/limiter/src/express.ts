import type { NextFunction, Request, RequestHandler, Response } from 'express'
import { ConcurrencyGate, type LimitConcurrencyOptions } from './concurrency-gate.js'
import type { Decision } from './decision.js'
import { listed } from './fields.js'
import { decisionOn, type GateVerdict, RateLimitGate } from './gate.js'
import type { RateLimitOptions } from './gate-options.js'

type Args = [req: Request, res: Response, next: NextFunction]
export type ExpressRateLimitOptions = RateLimitOptions<Args>
export type ExpressLimitConcurrencyOptions = LimitConcurrencyOptions<[req: Request, res: Response]>

/**
 * Limits the requests that pass through it. A refusal goes to the app's error handler, with its status and headers.
 *
 * ```ts
 * app.use(rateLimit({ limit: 100, window: '15m' }))
 * ```
 *
 * @throws TypeError | RangeError `ERR_LIMITER_OPTION`
 */
export function rateLimit(options: ExpressRateLimitOptions): RequestHandler {
  const gate = new RateLimitGate(options)
  return (req, res, next) => {
    try {
      const verdict = gate.check(req, res, req, res, next)
      if (verdict instanceof Promise) verdict.then((late) => apply(gate, late, req, res, next)).catch(next)
      else apply(gate, verdict, req, res, next)
    } catch (error) {
      next(error)
    }
  }
}

/**
 * Limits how many requests are in flight at once. What does not fit goes to the app's error handler as a 503.
 *
 * @throws TypeError | RangeError `ERR_LIMITER_OPTION`
 */
export function limitConcurrency(options: ExpressLimitConcurrencyOptions): RequestHandler {
  const gate = new ConcurrencyGate(options)
  return (req, res, next) => {
    try {
      const waiting = gate.enter(req, res, req, res)
      if (waiting === undefined) next()
      else waiting.then(() => next(), next)
    } catch (error) {
      next(error)
    }
  }
}

export { type ClientAddressOptions, clientAddress } from './client-address.js'

/** The decision about a request, to settle its cost later. */
export function decisionOf(req: Request): Decision | undefined {
  return decisionOn(req)
}

function apply(gate: RateLimitGate<Args>, verdict: GateVerdict, ...[req, res, next]: Args): void {
  const { headers, error, again } = verdict
  for (const name in headers) {
    const value = headers[name]!
    res.setHeader(name, again ? listed(name, value, res.getHeader(name)) : value)
  }
  if (error === undefined || !gate.answersItself) {
    next(error)
    return
  }
  res.status(error.status)
  for (const name in error.headers) if (!(name in headers)) res.setHeader(name, error.headers[name]!)
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
  if (type !== undefined) res.type(type)
  res.send(body)
}
