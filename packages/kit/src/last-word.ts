import type { IncomingMessage, ServerResponse } from 'node:http'
import { answerRefusal } from './answer.js'
import { isDeparture } from './departure.js'
import { RejectedError } from './errors.js'

/** On an app: which handler has the last word. Seen by the other packages, which have copies of this file. */
const SEAT: unique symbol = Symbol.for('spillway.last-word') as never

interface Seat {
  readonly handler: (...args: never[]) => unknown
  /** How many layers the app had when it was last looked through. */
  layers: number
}

/** What is used of an Express app. Express 4 has `_router`, and a `router` that throws. */
interface App {
  readonly parent?: App
  readonly _router?: { readonly stack?: readonly Layer[] }
  readonly router?: { readonly stack?: readonly Layer[] }
  use(handler: Seat['handler']): unknown
  [SEAT]?: Seat
}

interface Layer {
  readonly handle?: { readonly length: number }
}

/** Mounted apps, one in another, before something is wrong. */
const DEEPEST = 100

/**
 * Puts an error handler behind all others of the app that serves this request. An error has gone through every handler of
 * the app before it comes there: what is still a refusal is answered in a form fit for the client, and what tells only that
 * the client has left is dropped. Express itself would print both on stderr, with an HTML page for the first. Every other
 * error goes on as if nothing were there.
 *
 * Called with a refusal in hand: costs one comparison, unless the app has grown.
 */
export function haveLastWord(req: IncomingMessage): void {
  const app = rootOf((req as { app?: App } | undefined)?.app)
  const stack = app && stackOf(app)
  if (app === undefined || stack === undefined) return
  const seat = app[SEAT]
  if (seat?.layers === stack.length) return
  if (seat === undefined || !isLast(stack, seat.handler)) take(app)
  app[SEAT]!.layers = stack.length
}

/** A handler that stood there before, ahead of what the app has added since, says nothing any more. */
function take(app: App): void {
  const handler = (
    error: unknown,
    _req: IncomingMessage,
    res: ServerResponse,
    next: (error: unknown) => void,
  ) => {
    if (app[SEAT]?.handler !== handler) next(error)
    else if (isDeparture(error, res)) return
    else if (error instanceof RejectedError && !res.headersSent) answerRefusal(error, res)
    else next(error)
  }
  Object.defineProperty(app, SEAT, { value: { handler, layers: 0 }, configurable: true })
  app.use(handler)
}

function rootOf(app: App | undefined): App | undefined {
  let root = app
  for (let depth = 0; root?.parent !== undefined && depth < DEEPEST; depth++) root = root.parent
  return root
}

function stackOf(app: App): readonly Layer[] | undefined {
  return (app._router ?? app.router)?.stack
}

/** No error handler of the app stands behind ours. Those of mounted routers never see an error from outside of them. */
function isLast(stack: readonly Layer[], ours: Seat['handler']): boolean {
  for (let i = stack.length - 1; i >= 0; i--) {
    const handle = stack[i]?.handle
    if (handle === ours) return true
    if (handle?.length === 4) return false
  }
  return false
}
