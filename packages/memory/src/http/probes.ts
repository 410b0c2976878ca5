import { createHash } from 'node:crypto'
import {
  defineOptions,
  OPERATOR_CHECKS,
  OPERATOR_HEADERS,
  OperatorGuard,
  type OperatorOptions,
  type OperatorRequest,
} from '@spillway/kit'
import { ReportForbiddenError } from '../errors.js'
import type { MemoryMonitor } from '../monitor.js'
import { reportHtml, STYLE } from './report-html.js'
import { reportText } from './report-text.js'

/** Answer of a probe route, independent of the framework. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const JSON_TYPE = 'application/json; charset=utf-8'
const NO_STORE = { 'Cache-Control': 'no-store' }

/** Liveness: 200 as long as the process answers at all. A process short of memory must not be killed for saying so. */
export function liveness(monitor: MemoryMonitor): Answer {
  return json(200, { status: 'ok', level: monitor.level })
}

/** Readiness: 503 while the monitor is critical, so that a balancer sends new work elsewhere. */
export function readiness(monitor: MemoryMonitor): Answer {
  const ready = !monitor.overloaded
  return json(ready ? 200 : 503, { status: ready ? 'ok' : 'overloaded', level: monitor.level })
}

/**
 * Access to the report, which names code and files of the app, and to snapshots. `Request`: the request type of the
 * framework.
 */
export interface MemoryReportOptions<Request> extends OperatorOptions<Request> {}

export interface ReportRequest {
  readonly method: string
  /** The raw target, with its query. */
  readonly target: string
  readonly accept: string | undefined
}

const resolve = defineOptions('memory', 'memoryReport', OPERATOR_CHECKS, {})

/** @throws TypeError | RangeError `ERR_MEMORY_OPTION` */
export function guard<Request>(
  options: MemoryReportOptions<Request> = {},
): (request: Request, raw: OperatorRequest) => Promise<void> {
  resolve(options)
  const operators = new OperatorGuard(options, { owner: 'memoryReport', code: 'ERR_MEMORY_OPTION' })
  return async (request, raw) => {
    const refusal = await operators.refusal(request, raw)
    if (refusal !== undefined) throw new ReportForbiddenError(refusal.challenge)
  }
}

const PAGE_HEADERS = {
  ...OPERATOR_HEADERS,
  'Content-Security-Policy': OPERATOR_HEADERS['Content-Security-Policy']!.replace(
    "style-src 'self'",
    `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  ),
}

/**
 * The report as JSON, text or HTML: `?format=json|text|html`, else what `Accept` prefers. `POST` takes a heap snapshot
 * and answers with the path of the file on the server.
 *
 * @throws SnapshotRefusedError (409)
 */
export async function memoryReportAnswer(
  monitor: MemoryMonitor,
  { method, target, accept = '' }: ReportRequest,
): Promise<Answer> {
  if (method === 'POST') return json(201, { file: await monitor.snapshot('route') }, OPERATOR_HEADERS)
  const report = monitor.report()
  const format = new URLSearchParams(target.split('?')[1]).get('format')
  if (format === 'html' || (format === null && accept.includes('text/html'))) {
    return {
      status: 200,
      headers: { 'Content-Type': 'text/html; charset=utf-8', ...PAGE_HEADERS },
      body: reportHtml(report),
    }
  }
  if (format === 'text' || (format === null && accept.includes('text/plain'))) {
    return {
      status: 200,
      headers: { 'Content-Type': 'text/plain; charset=utf-8', ...OPERATOR_HEADERS },
      body: reportText(report),
    }
  }
  return json(200, report, OPERATOR_HEADERS)
}

function json(status: number, value: object, headers: Answer['headers'] = NO_STORE): Answer {
  return { status, headers: { 'Content-Type': JSON_TYPE, ...headers }, body: JSON.stringify(value) }
}
