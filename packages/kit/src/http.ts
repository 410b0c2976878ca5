import type { ServerResponse } from 'node:http'
import { ClientGoneError } from './departure.js'

/** The path of a request without its query, from the raw target: `/a/b`. */
export function pathOf(target: string): string {
  const end = target.search(/[?#]/)
  return end === -1 ? target : target.slice(0, end)
}

const signals = new WeakMap<ServerResponse, AbortSignal>()

/**
 * A signal that aborts when the client closes the connection before the response is finished. One per response, made at
 * first use. The reason is a {@link ClientGoneError}, an `AbortError`; `onGone` is called with it first.
 */
export function responseSignal(res: ServerResponse, onGone?: (reason: ClientGoneError) => void): AbortSignal {
  let signal = signals.get(res)
  if (signal === undefined) {
    const controller = new AbortController()
    signal = controller.signal
    signals.set(res, signal)
    const leave = () => {
      if (res.writableFinished) return
      const reason = new ClientGoneError(res)
      onGone?.(reason)
      controller.abort(reason)
    }
    if (res.destroyed) leave()
    else res.once('close', leave)
  }
  return signal
}

const endings = new WeakMap<ServerResponse, ((finished: boolean) => void)[]>()

/**
 * Calls back once, when the response is over: `finished` is false when the client closed the connection first. All callbacks
 * of a response share one listener, since a request may pass many gates.
 */
export function onResponseEnd(res: ServerResponse, callback: (finished: boolean) => void): void {
  if (res.destroyed || res.writableFinished) {
    callback(res.writableFinished)
    return
  }
  const known = endings.get(res)
  if (known !== undefined) {
    known.push(callback)
    return
  }
  const callbacks = [callback]
  endings.set(res, callbacks)
  res.once('close', () => {
    endings.delete(res)
    for (const each of callbacks) each(res.writableFinished)
  })
}
