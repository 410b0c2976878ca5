import { constants, type Http2Session, type ServerHttp2Stream } from 'node:http2'
import type { Server } from 'node:net'
import { TimeoutQueue } from '@spillway/kit'

const { NGHTTP2_CANCEL: CANCEL } = constants

/** A request whose body is still to come. */
class Upload {
  next: this | undefined
  previous: this | undefined
  readonly since = performance.now()
  readonly stream: ServerHttp2Stream

  constructor(stream: ServerHttp2Stream) {
    this.stream = stream
  }
}

/**
 * Limits how long the client of an HTTP/2 request may take to send the body, as `requestTimeout` does for HTTP/1, which Node
 * does not apply to streams: a byte now and then would hold the handler for ever. The stream is reset; a request without a
 * body costs nothing. A stream whose response has begun stays: both sides may send (gRPC, WebSocket over HTTP/2).
 *
 * @param timeout milliseconds; 0: no limit
 */
export function boundBodies(server: Server, timeout: number): void {
  if (timeout === 0) return
  const uploads = new TimeoutQueue<Upload>(timeout, ({ stream }) => {
    if (stream.destroyed || stream.headersSent || stream.state.remoteClose === 1) return
    stream.close(CANCEL)
    stream.destroy()
  })
  server.on('session', (session: Http2Session) => {
    session.on('stream', (stream: ServerHttp2Stream) => {
      if (stream.endAfterHeaders || stream.destroyed) return
      const upload = new Upload(stream)
      uploads.add(upload)
      stream.once('close', () => uploads.end(upload))
    })
  })
}
