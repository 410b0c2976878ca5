import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect as connectHttp2, createSecureServer } from 'node:http2'
import { connect } from 'node:net'
import express from 'express'
import express4 from 'express4'
import fastify from 'fastify'
import Koa from 'koa'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Servable, type ServeOptions, serve } from '../src/worker/serve.js'
import { REQUEST_LIMITS } from '../src/worker/serve-limits.js'
import { certificate } from './certificate.js'

const LOCAL = { host: '127.0.0.1', port: 0, signals: false, crash: false } as const

async function served(app: Servable, options: ServeOptions = {}) {
  const running = await serve(app, { ...LOCAL, ...options })
  onTestFinished(() => running.close({ timeout: 0 }))
  return running
}

const APPS: [name: string, app: () => Servable][] = [
  ['express 5', () => express()],
  ['express 4', () => express4() as Servable],
  ['fastify', () => fastify()],
  ['koa', () => new Koa()],
  ['a handler', () => (_req, res) => void res.end()],
  ['a server', () => createServer((_req, res) => void res.end())],
]

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

describe.each(APPS)('S13 serve(%s)', (_name, app) => {
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
    // The app may answer without the body; in any case the connection is over.
    const body = `${head}Content-Type: text/plain\r\nContent-Length: 100\r\n\r\nx`
    expect(await answerTo(port!, body)).not.toMatch(/never/)
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

  it('S14 ends a connection that opens and resets streams without end (CVE-2023-44487)', async () => {
    let handlers = 0
    const { port } = await served(() => void handlers++, { tls: certificate('localhost'), http2: true })
    const client = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
    client.on('error', () => {})
    await once(client, 'remoteSettings')
    const ended = new Promise((resolve) => client.once('close', resolve))
    let sent = 0
    const reset = () => {
      if (client.destroyed || client.closed || sent >= 5_000) return
      for (let i = 0; i < 50; i++, sent++) {
        const stream = client.request({ ':path': '/' })
        stream.on('error', () => {})
        stream.close(8)
      }
      setImmediate(reset)
    }
    reset()
    await ended
    // Node tells of all streams that one read brings, 64 KB at most, before any of them can be refused.
    expect(handlers).toBeLessThan(1_500)
  })
})
