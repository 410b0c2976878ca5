import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { RejectedError } from './errors.js'

export type Header = readonly [name: string, value: string]

/**
 * Adds headers when a response's head is about to be sent, whoever sends it: the route, an error handler of the app, or
 * the framework's own, which may have removed all headers before (Koa's does).
 */
export function addLate(res: ServerResponse, headers: (status: number) => readonly Header[]): void {
  const { writeHead } = res
  res.writeHead = function (this: ServerResponse, status: number, ...rest: unknown[]) {
    res.writeHead = writeHead
    // Headers that are given here replace those of the same name, and so must be there before ours are added.
    const given = rest.findLast((one) => typeof one === 'object' && one !== null)
    if (given !== undefined) setAll(res, given as OutgoingHttpHeaders | unknown[])
    for (const [name, value] of headers(status)) res.appendHeader(name, value)
    const message = typeof rest[0] === 'string' ? [rest[0]] : []
    return Reflect.apply(writeHead, this, [status, ...message]) as ServerResponse
  } as typeof res.writeHead
}

const refusals = new WeakMap<ServerResponse, RejectedError>()

/**
 * Something that a handler asked for was refused. When that is what the handler answers with, by whichever error handler,
 * the response gets the headers of the refusal; when the handler does without, it gets none.
 */
export function noteRefusal(res: ServerResponse, error: RejectedError): void {
  const isFirst = !refusals.has(res)
  refusals.set(res, error)
  if (!isFirst) return
  addLate(res, (status) => {
    const { status: refused, headers } = refusals.get(res)!
    if (status !== refused) return []
    return Object.entries(headers).filter(([name]) => !res.hasHeader(name))
  })
}

/** In the forms that `writeHead` takes: an object, a list of names and values in turn, or a list of pairs. */
function setAll(res: ServerResponse, given: OutgoingHttpHeaders | unknown[]): void {
  if (!Array.isArray(given)) {
    for (const name in given) if (given[name] !== undefined) res.setHeader(name, given[name])
    return
  }
  const flat = given.flat() as string[]
  for (let i = 0; i < flat.length; i += 2) res.removeHeader(flat[i]!)
  for (let i = 0; i < flat.length; i += 2) res.appendHeader(flat[i]!, flat[i + 1]!)
}
