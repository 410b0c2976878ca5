import type { IncomingMessage, ServerResponse } from 'node:http'
import { applyVerdict, type RefusalOptions, refusalOptions, refuse } from '@spillway/kit/express'
import type { MemoryMonitor } from '../monitor.js'
import { gate, isFresh, type ShedLoadOptions } from './gate.js'
import {
  type Answer,
  guard,
  liveness,
  type MemoryReportOptions,
  memoryReportAnswer,
  readiness as readinessAnswer,
} from './probes.js'

/** What an HTTP server calls with each request; `next` gets the refusal. */
export type Handler<Request extends IncomingMessage = IncomingMessage> = (
  request: Request,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void

/**
 * Load shedding: refuses requests while the process is overloaded, with an {@link OverloadedError} (503, `Retry-After`) handed to `next`.
 * For plain `node:http`, Connect, and whatever shares their signature.
 *
 * @throws TypeError `ERR_MEMORY_OPTION`
 */
export function shedLoad<Request extends IncomingMessage = IncomingMessage>(
  monitor: MemoryMonitor,
  options: ShedLoadOptions<Request> & RefusalOptions = {},
): Handler<Request> {
  const [onRefused, own] = refusalOptions<ShedLoadOptions<Request>>('memory', 'shedLoad', options)
  const { isExempt, skip, priority } = gate(own)
  return (request, response, next) => {
    if (monitor.calm || isExempt(targetOf(request)) || skip(request)) next()
    else {
      const verdict = monitor.verdict(priority(request), monitor.measuring && isFresh(request.socket))
      applyVerdict(verdict, response, next, onRefused)
    }
  }
}

/** Liveness: 200 as long as the process answers, whatever the level. */
export function health(monitor: MemoryMonitor): Handler {
  return (_request, response) => send(response, liveness(monitor))
}

/** Readiness: 503 while the monitor is critical. */
export function readiness(monitor: MemoryMonitor): Handler {
  return (_request, response) => send(response, readinessAnswer(monitor))
}

/**
 * The memory report, for requests from this machine or with the token; `POST` takes a heap snapshot.
 *
 * @throws TypeError | RangeError `ERR_MEMORY_OPTION`
 */
export function memoryReport<Request extends IncomingMessage = IncomingMessage>(
  monitor: MemoryMonitor,
  options?: MemoryReportOptions<Request>,
): Handler<Request> {
  const admit = guard(options)
  return (request, response, next) => {
    const question = {
      method: request.method ?? 'GET',
      target: targetOf(request),
      accept: request.headers.accept,
    }
    admit(request, request)
      .then(() => memoryReportAnswer(monitor, question))
      .then((answer) => send(response, answer))
      .catch((error) => refuse(error, response, next))
  }
}

/** A router shortens `url` to what follows its mount point and keeps the whole in `originalUrl`. */
function targetOf(request: IncomingMessage & { originalUrl?: string }): string {
  return request.originalUrl ?? request.url ?? '/'
}

function send(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, { ...headers, 'Content-Length': Buffer.byteLength(body) })
  response.end(response.req.method === 'HEAD' ? undefined : body)
}
