import { count, flag, listOf, text } from '@spillway/kit/message'

/** What goes along with a connection that moves between processes. */
export interface Journey {
  /** The name of the listener that it belongs to. */
  readonly place: string
  /** It has served a request, so it waits for the next one as Node lets it wait between two requests. */
  readonly used: boolean
  /** The ids of the workers that have no such listener: each is asked once. */
  readonly tried: readonly number[]
}

/** As many as there can be workers, and their replacements. */
const MOST_TRIED = 4_096

/** Longer than any address or path of a unix socket. */
const LONGEST_PLACE = 300

/** Its fields in a message. */
export const JOURNEY = {
  place: text(LONGEST_PLACE),
  used: flag(),
  tried: listOf(count(), MOST_TRIED),
} as const
