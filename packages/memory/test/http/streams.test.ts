import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { createServer, get, type RequestListener, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { scratch } from '../scratch.js'
import { MB } from '../support.js'

/** What docs/packages/memory.md recommends for large data, and what it warns of. */

async function serve(listener: RequestListener) {
  const server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  return {
    ask: async () => (await once(get({ port, host: '127.0.0.1', agent: false }), 'response'))[0],
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Reads all of it, and tells the most that was held outside of the heap meanwhile. */
async function drain(response: AsyncIterable<Buffer>): Promise<{ received: number; highest: number }> {
  let received = 0
  let highest = 0
  const before = process.memoryUsage().arrayBuffers
  for await (const chunk of response) {
    received += chunk.length
    highest = Math.max(highest, process.memoryUsage().arrayBuffers - before)
  }
  return { received, highest }
}

describe('large data in flat memory', () => {
  it('a file: 256 MB from disk to the client', { timeout: 120_000 }, async () => {
    await using directory = await scratch()
    const path = join(directory.path, 'large')
    const file = await open(path, 'w')
    await file.truncate(256 * MB)
    await file.close()
    await using server = await serve((_request, response) => {
      pipeline(createReadStream(path), response).catch(() => {})
    })
    const { received, highest } = await drain(await server.ask())
    expect(received).toBe(256 * MB)
    expect(highest).toBeLessThan(128 * MB) // garbage included; readFile would hold 256
  })

  it('rows: half a million of them, one at a time, as fast as the client reads', {
    timeout: 120_000,
  }, async () => {
    const total = 500_000
    let made = 0
    let taken = 0
    let ahead = 0
    const text = 'x'.repeat(100)
    async function* rows() {
      for (; made < total; made++) {
        ahead = Math.max(ahead, made - taken)
        yield `${JSON.stringify({ id: made, text })}\n`
      }
    }
    await using server = await serve((_request, response) => {
      pipeline(Readable.from(rows()), response).catch(() => {})
    })
    for await (const chunk of await server.ask()) taken += chunk.toString().split('\n').length - 1
    expect(taken).toBe(total)
    // What is under way fills the buffers of streams and sockets, some megabytes at most, and not the heap.
    expect(ahead).toBeLessThan(total / 2)
  })
})

describe('events for a client that does not read', () => {
  const event = `data: ${'x'.repeat(1_000)}\n\n`
  const events = 20_000

  /** Sends them all to a client that has stopped reading; returns what is held for it in the end. */
  async function held(send: (response: ServerResponse) => void): Promise<number> {
    let sink: ServerResponse | undefined
    await using server = await serve((_request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' })
      response.write(event)
      sink = response
    })
    const client = await server.ask()
    client.pause()
    for (let i = 0; i < events; i++) {
      send(sink!)
      if (i % 100 === 0) await turn()
    }
    const { writableLength } = sink!
    client.destroy()
    return writableLength
  }

  it('are left out while its buffer is full: it holds no more than that', { timeout: 60_000 }, async () => {
    const most = await held((response) => {
      if (!response.writableNeedDrain) response.write(event)
    })
    expect(most).toBeLessThan(MB)
  })

  it('pile up without that check', { timeout: 60_000 }, async () => {
    expect(await held((response) => response.write(event))).toBeGreaterThan(MB)
  })
})
