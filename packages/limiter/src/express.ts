import type { NextFunction, Request, RequestHandler, Response } from 'express'
import { type GateVerdict, listed, RateLimitGate, type RateLimitOptions } from './gate.js'

export type ExpressRateLimitOptions = RateLimitOptions<[req: Request, res: Response]>

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
      const verdict = gate.check(req, res, req, res)
      if (verdict instanceof Promise) verdict.then((late) => apply(gate, late, req, res, next)).catch(next)
      else apply(gate, verdict, req, res, next)
    } catch (error) {
      next(error)
    }
  }
}

function apply(
  gate: RateLimitGate<[Request, Response]>,
  { headers, decision, error }: GateVerdict,
  req: Request,
  res: Response,
  next: NextFunction,
): void {
  for (const name in headers) res.setHeader(name, listed(name, headers[name]!, res.getHeader(name)))
  if (error === undefined || decision === undefined) {
    next()
    return
  }
  const reply = gate.replyTo(decision, error.status)
  if (gate.handler === undefined && reply === undefined) {
    next(error)
    return
  }
  for (const name in error.headers) if (!(name in headers)) res.setHeader(name, error.headers[name]!)
  res.status(error.status)
  if (gate.handler !== undefined) gate.handler(req, res)
  else if (reply?.type !== undefined) res.type(reply.type).send(JSON.stringify(reply.body))
  else res.send(reply?.body)
}
