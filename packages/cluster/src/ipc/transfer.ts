import type { Server } from 'node:net'
import { count, flag, listOf, text } from '@spillway/kit/message'

/** What goes along with a connection that moves between processes. */
export interface Transfer {
  /** The name of the listener that it belongs to. */
  readonly listener: string
  /** It has served a request, so it waits for the next one as Node lets it wait between two requests. */
  readonly used: boolean
  /** The ids of the workers that have no such listener: each is asked once. */
  readonly tried: readonly number[]
}

/** As many as there can be workers, and their replacements. */
const MOST_TRIED = 4_096

/** Longer than any address or path of a unix socket. */
const LONGEST_LISTENER_NAME = 300

/** Its fields in a message. */
export const TRANSFER_FIELDS = {
  listener: text(LONGEST_LISTENER_NAME),
  used: flag(),
  tried: listOf(count(), MOST_TRIED),
} as const

/** The name by which two processes know the same listener; `undefined` when the server does not listen. */
export function listenerName(server: Server): string | undefined {
  const address = server.address()
  if (address === null) return undefined
  return typeof address === 'string' ? address : `${address.address}:${address.port}`
}
