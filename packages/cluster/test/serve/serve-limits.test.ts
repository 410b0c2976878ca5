import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2Server, createSecureServer } from 'node:http2'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { connect as connectTls } from 'node:tls'
import express from 'express'
import express4 from 'express4'
import fastify from 'fastify'
import Koa from 'koa'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Servable, type ServeOptions, serve } from '../../src/serve/serve.js'
import { REQUEST_LIMITS } from '../../src/serve/serve-limits.js'
import { certificate } from '../certificate.js'

const LOCAL = { host: '127.0.0.1', port: 0, signals: false, crash: false } as const

async function served(app: Servable, options: ServeOptions = {}) {
  const running = await serve(app, { ...LOCAL, ...options })
  onTestFinished(() => running.close({ timeout: 0 }))
  return running
}

const reads: RequestListener = (req, res) => void req.resume().on('end', () => res.end())

/** Each with the statuses that a client gets before its connection is closed, if the body of its request does not come. */
const APPS: [name: string, app: () => Servable, statuses: number[]][] = [
  ['express 5', () => express(), [408]],
  ['express 4', () => express4() as Servable, [408]],
  ['fastify', () => fastify().post('/', async () => 'ok') as never, [408]],
  // Answers without waiting for the body.
  ['koa', () => new Koa(), [404, 408]],
  ['a handler', () => reads, [408]],
  ['a server', () => createServer(reads), [408]],
]

function statusesIn(responses: string): number[] {
  return [...responses.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status))
}

/** What a connection gets that sends this and nothing more, until it is closed. */
function answerTo(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    let heard = ''
    const client = connect({ port, host: '127.0.0.1' })
    client.on('data', (data) => {
      heard += data
    })
    client.on('error', () => {})
    client.on('close', () => resolve(heard))
    client.write(text)
  })
}

describe.each(APPS)('S13 serve(%s)', (_name, app, statuses) => {
  it('S13 gives a client less time than Node does, looks often enough, and takes other limits', async () => {
    const { server } = await served(app())
    expect(server).toMatchObject({ ...REQUEST_LIMITS, connectionsCheckingInterval: 5_000 })
    const other = await served(app(), { headersTimeout: '1s', requestTimeout: false })
    expect(other.server).toMatchObject({ headersTimeout: 1_000, requestTimeout: 0 })
  })

  it('S13 closes on a head and on a body that do not come', async () => {
    const { port } = await served(app(), { headersTimeout: 200, requestTimeout: 400 })
    const head = 'POST / HTTP/1.1\r\nHost: localhost\r\n'
    expect(await answerTo(port!, head)).toMatch(/^HTTP\/1.1 408/)
    const body = `${head}Content-Type: text/plain\r\nContent-Length: 100\r\n\r\nx`
    expect(statusesIn(await answerTo(port!, body))).toEqual(statuses)
  })
})

describe('S13 limits', () => {
  it('S13 of a server that came with its own are kept', async () => {
    const own = createServer({ headersTimeout: 7_000, requestTimeout: 9_000 }, (_req, res) => void res.end())
    expect((await served(own)).server).toMatchObject({ headersTimeout: 7_000, requestTimeout: 9_000 })
    const app = fastify({ requestTimeout: 5_000 })
    expect((await served(app)).server).toMatchObject({ requestTimeout: 5_000 })
  })

  it('S13 that make no sense are refused', async () => {
    const longer = serve(() => {}, { ...LOCAL, headersTimeout: '3m', requestTimeout: '1m' })
    await expect(longer).rejects.toThrow(/headersTimeout/)
    await expect(serve(() => {}, { ...LOCAL, headersTimeout: 0 })).rejects.toMatchObject({
      code: 'ERR_CLUSTER_OPTION',
    })
  })
})

describe('S13 the body of a request over HTTP/2', () => {
  const http2 = () => ({ tls: certificate('localhost'), http2: true }) as const

  /** A client that sends a byte of each of so many bodies now and then; tells how each stream ended. */
  async function trickle(port: number, streams: number, every = 20): Promise<(number | undefined)[]> {
    const client = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
    onTestFinished(() => client.destroy())
    client.on('error', () => {})
    const ended = Array.from({ length: streams }, () => {
      const stream = client.request({ ':method': 'POST', ':path': '/' })
      const timer = setInterval(() => stream.write('x'), every)
      stream.on('error', () => {})
      return new Promise<number | undefined>((resolve) =>
        stream.once('close', () => {
          clearInterval(timer)
          resolve(stream.rstCode)
        }),
      )
    })
    return Promise.all(ended)
  }

  it('S13 has as much time as over HTTP/1, however its bytes trickle: every handler is let go', async () => {
    let running = 0
    let most = 0
    const { port } = await served(
      (req, res) => {
        most = Math.max(most, ++running)
        req.on('error', () => {}).resume()
        res.once('close', () => running--)
      },
      { ...http2(), headersTimeout: 300, requestTimeout: 600 },
    )
    const ends = await trickle(port!, 128)
    expect(most).toBe(128)
    expect(running).toBe(0)
    expect(new Set(ends)).toEqual(new Set([8]))
  })

  it('S13 is bounded for a server of the app, too', async () => {
    const { key, cert } = certificate('localhost')
    const files = { key: readFileSync(key), cert: readFileSync(cert) }
    const server = createSecureServer(files, (req) => void req.resume())
    const { port } = await served(server, { headersTimeout: 300, requestTimeout: 300 })
    expect(await trickle(port!, 1)).toEqual([8])
  })

  /** A server that answers when it has read the body and `over` has come; `/talk` begins its response at once. */
  async function patientServer(limit: number | false, over: Promise<unknown>) {
    const answer: RequestListener = (req, res) => {
      if (req.url === '/talk') res.writeHead(200)
      req.resume().on('end', () => void over.then(() => res.end('done')))
    }
    const { port } = await served(answer, { ...http2(), headersTimeout: 200, requestTimeout: limit })
    const client = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
    onTestFinished(() => client.destroy())
    return {
      port: port!,
      post: (path: string) => client.request({ ':method': 'POST', ':path': path }),
    }
  }

  it('S13 that is read, or belongs to a request whose response has begun, is left alone', async () => {
    let end: (value?: unknown) => void = () => {}
    const over = new Promise((resolve) => {
      end = resolve
    })
    const { port, post } = await patientServer(200, over)
    const read = post('/read').end('whole')
    const talk = post('/talk')
    const answers = Promise.all([text(read), text(talk)])
    // One that came later is over: so is the time of these.
    expect(await trickle(port, 1)).toEqual([8])
    end()
    talk.end('late')
    expect(await answers).toEqual(['done', 'done'])
  })

  it('S13 has no limit by `requestTimeout: false`', async () => {
    const limited = await patientServer(200, Promise.resolve())
    const free = await patientServer(false, Promise.resolve())
    const upload = free.post('/')
    expect(await trickle(limited.port, 1)).toEqual([8])
    upload.end('late')
    expect(await text(upload)).toBe('done')
  })
})

describe('S14 HTTP/2', () => {
  /** A client that opens so many streams to a handler that never answers; tells how many handlers ran at once. */
  async function flooded(options: ServeOptions['http2'], streams: number): Promise<number> {
    let running = 0
    const tls = certificate('localhost')
    const { port } = await served(() => void running++, { tls, http2: options ?? true })
    const client = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
    onTestFinished(() => client.destroy())
    client.on('error', () => {})
    // Without waiting for what the server allows.
    for (let i = 0; i < streams; i++) client.request({ ':path': '/' }).on('error', () => {})
    await once(client, 'remoteSettings')
    // What comes after this has been answered, all the others have been looked at.
    await new Promise((resolve, reject) =>
      client.ping((error) => (error ? reject(error) : resolve(undefined))),
    )
    return running
  }

  it('S14 runs no more than 128 of 3,000 streams of one connection at once', async () => {
    const running = await flooded(true, 3_000)
    expect(running).toBeGreaterThan(0)
    expect(running).toBeLessThanOrEqual(128)
  })

  it('S14 takes the options of an HTTP/2 server', async () => {
    expect(await flooded({ settings: { maxConcurrentStreams: 10 } }, 500)).toBeLessThanOrEqual(10)
  })

  it('S14 gives a server of the app the same bound, unless it has one', async () => {
    const { key, cert } = certificate('localhost')
    const files = { key: readFileSync(key), cert: readFileSync(cert) }
    const allowed = async (settings: object) => {
      const { port } = await served(
        createSecureServer({ ...files, ...settings }, (_req, res) => void res.end()),
      )
      const client = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
      const [said] = await once(client, 'remoteSettings')
      client.destroy()
      return (said as { maxConcurrentStreams: number }).maxConcurrentStreams
    }
    expect(await allowed({})).toBe(128)
    expect(await allowed({ settings: { maxConcurrentStreams: 300 } })).toBe(300)
  })

  describe.each([
    [
      'over TLS',
      async (handler: RequestListener) => served(handler, { tls: certificate('localhost'), http2: true }),
    ],
    ['without TLS', async (handler: RequestListener) => served(createHttp2Server(handler as never))],
  ])('%s, a client that resets its streams without end (CVE-2023-44487)', (how, start) => {
    it.each([
      ['one by one', 1],
      ['as many in a read as fit', 2_000],
    ])(
      'S14 loses its connection, %s, and starts hardly more handlers than it may reset streams',
      async (_name, batch) => {
        let handlers = 0
        const running = await start(() => void handlers++)
        const client =
          how === 'over TLS'
            ? connectTls({
                port: running.port!,
                host: '127.0.0.1',
                ALPNProtocols: ['h2'],
                rejectUnauthorized: false,
              })
            : connect({ port: running.port!, host: '127.0.0.1' })
        onTestFinished(() => void client.destroy())
        client.on('error', () => {})
        client.resume()
        const ended = new Promise((resolve) => client.once('close', resolve))
        client.write(PREFACE)
        let sent = 0
        while (client.writable && sent < 20_000) {
          client.write(Buffer.concat(Array.from({ length: batch }, () => openedAndReset(sent++ * 2 + 1))))
          await new Promise((resolve) => setImmediate(resolve))
        }
        await ended
        // 200 at once, and 33 more for each second that this takes.
        expect(handlers).toBeLessThan(300)
        expect(running.stats().requests).toBe(handlers)
      },
    )
  })
})

const PREFACE = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  frame(4, 0, 0, Buffer.alloc(0)),
])

/** A request (RFC 7541: GET, http, the path /, the authority "a"), and its reset. */
function openedAndReset(stream: number): Buffer {
  const reset = Buffer.from([0, 0, 0, 8])
  return Buffer.concat([
    frame(1, 5, stream, Buffer.from([0x82, 0x86, 0x84, 0x01, 1, 97])),
    frame(3, 0, stream, reset),
  ])
}

/** RFC 9113 section 4.1. */
function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}
