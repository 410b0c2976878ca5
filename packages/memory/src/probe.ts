import { defineOptions, func } from '@spillway/kit'
import { ReportForbiddenError } from './errors.js'
import type { MemoryMonitor } from './monitor.js'
import { reportHtml } from './report-html.js'
import { reportText } from './report-text.js'

/** What a probe route answers, whatever the framework. */
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

/** `Request`: what the framework hands to its handlers. */
export interface MemoryReportOptions<Request> {
  /** Who may see the report and take snapshots. Required: a report names code and files of the app. */
  readonly allow: (request: Request) => boolean | Promise<boolean>
}

export interface ReportQuestion {
  readonly method: string
  /** The raw target, with its query. */
  readonly target: string
  readonly accept: string | undefined
}

const resolve = defineOptions('memory', 'memoryReport', { allow: func() })

/** @throws TypeError `ERR_MEMORY_OPTION` when there is no `allow` */
export function guard<Request>(options: MemoryReportOptions<Request>): (request: Request) => Promise<void> {
  resolve(options)
  const { allow } = options
  return async (request) => {
    if ((await allow(request)) !== true) throw new ReportForbiddenError()
  }
}

/**
 * The report as JSON, text or HTML: `?format=json|text|html`, else what `Accept` prefers. `POST` takes a heap snapshot
 * and answers with the path of the file on the server.
 *
 * @throws SnapshotRefusedError (409)
 */
export async function memoryReportAnswer(
  monitor: MemoryMonitor,
  { method, target, accept = '' }: ReportQuestion,
): Promise<Answer> {
  if (method === 'POST') return json(201, { file: await monitor.snapshot('route') })
  const report = monitor.report()
  const format = new URLSearchParams(target.split('?')[1]).get('format')
  if (format === 'html' || (format === null && accept.includes('text/html'))) {
    return {
      status: 200,
      headers: { 'Content-Type': 'text/html; charset=utf-8', ...NO_STORE },
      body: reportHtml(report),
    }
  }
  if (format === 'text' || (format === null && accept.includes('text/plain'))) {
    return {
      status: 200,
      headers: { 'Content-Type': 'text/plain; charset=utf-8', ...NO_STORE },
      body: reportText(report),
    }
  }
  return json(200, report)
}

function json(status: number, value: object): Answer {
  return { status, headers: { 'Content-Type': JSON_TYPE, ...NO_STORE }, body: JSON.stringify(value) }
}
