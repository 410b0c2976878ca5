import { constants, type Http2Session, type ServerHttp2Stream } from 'node:http2'
import type { Server } from 'node:net'
import { monotonicClock } from '@spillway/kit'

export interface ResetLimits {
  /** Streams that a client may reset at once. */
  readonly streamResetBurst: number
  /** And per second after that. */
  readonly streamResetRate: number
  /** Streams that may be open at once. */
  readonly streams: number
}

const { NGHTTP2_ENHANCE_YOUR_CALM: CALM, NGHTTP2_NO_ERROR: NO_ERROR } = constants

/**
 * Ends the connection of a client that resets its streams faster than that (CVE-2023-44487): each one has cost a handler. Node
 * has options of the same names, but of the versions that we support only newer ones heed them.
 */
export function boundResets(
  server: Server,
  { streamResetBurst, streamResetRate, streams }: ResetLimits,
): void {
  const mostPerTurn = streams + streamResetBurst
  server.on('session', (session: Http2Session) => {
    let left = streamResetBurst
    let at = monotonicClock.now()
    let opened = 0
    const nextTurn = () => {
      opened = 0
    }
    session.on('stream', (stream: ServerHttp2Stream) => {
      // What one read brings is handled before any reset in it is told of: more than may be open at once have been reset.
      if (opened++ === 0) setImmediate(nextTurn)
      if (opened > mostPerTurn) session.destroy(undefined, CALM)
      stream.once('close', () => {
        if (stream.rstCode === NO_ERROR || stream.writableFinished) return
        const now = monotonicClock.now()
        left = Math.min(streamResetBurst, left + ((now - at) / 1_000) * streamResetRate) - 1
        at = now
        if (left < 0 && !session.destroyed) session.destroy(undefined, CALM)
      })
    })
  })
}
