import { Readable } from 'node:stream'

export const SSE_HEADERS = Object.freeze({
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-cache, no-transform',
  // nginx would collect the events otherwise.
  'X-Accel-Buffering': 'no',
})

/**
 * A call as a stream of server-sent events (WHATWG HTML, section 9.2). Resolves with the first event, so that a call
 * that is refused or fails before it still rejects, and can be answered with a status. A client that reads slowly
 * misses progress, never the result.
 */
export function eventStream(
  call: (onProgress: (progress: unknown) => void) => Promise<unknown>,
): Promise<Readable> {
  const stream = new Readable({ read() {} })
  return new Promise((resolve, reject) => {
    let started = false
    const send = (event: string, data: unknown) => {
      if (stream.destroyed) return
      stream.push(`event: ${event}\ndata: ${JSON.stringify(data) ?? 'null'}\n\n`)
      if (!started) resolve(stream)
      started = true
    }
    const onProgress = (progress: unknown) => {
      if (stream.readableLength < stream.readableHighWaterMark) send('progress', progress)
    }
    call(onProgress)
      .then((result) => send('result', result))
      .catch((error) => {
        if (started) send('error', shown(error))
        else reject(error)
      })
      .finally(() => stream.push(null))
  })
}

/** What a client may see of an error: the message only when the error says so. */
function shown(error: unknown): { code: unknown; status: number; message: string } {
  const { code, status, expose, message } = error as {
    code?: unknown
    status?: unknown
    expose?: unknown
    message?: unknown
  }
  return {
    code,
    status: typeof status === 'number' ? status : 500,
    message: expose === true ? String(message) : 'Internal Server Error',
  }
}
