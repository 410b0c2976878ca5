import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { Agent } from 'node:https'
import { connect as connectTcp } from 'node:net'
import { constants } from 'node:os'
import { eventually, spawnApp } from '@spillway/testkit'
import express from 'express'
import fastify from 'fastify'
import Koa from 'koa'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Servable, type ServeOptions, serve } from '../../src/serve/serve.js'
import { certificate, commonName } from '../certificate.js'

const LOCAL = { host: '127.0.0.1', port: 0, signals: false, crash: false } as const

async function served(app: Servable, options: ServeOptions = {}) {
  const running = await serve(app, { ...LOCAL, ...options })
  onTestFinished(() => running.close({ timeout: 0 }))
  return running
}

describe('serve', () => {
  it('serves Express, Fastify, Koa, a handler and a server, and tells the port', async () => {
    const expressApp = express()
    expressApp.get('/', (_req, res) => void res.send('app'))
    const fastifyApp = fastify()
    fastifyApp.get('/', async () => 'app')
    const koaApp = new Koa()
    koaApp.use((ctx) => {
      ctx.body = 'app'
    })
    const plain = createServer((_req, res) => res.end('app'))
    for (const app of [expressApp, fastifyApp, koaApp, plain]) {
      const { port } = await served(app)
      expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe('app')
    }
  })

  it('refuses what cannot be served, and options it does not know', async () => {
    const nothing: object = {}
    await expect(serve(nothing as Servable, LOCAL)).rejects.toMatchObject({ code: 'ERR_CLUSTER_APP' })
    const unknown: object = { ...LOCAL, prot: 3000 }
    await expect(serve(() => {}, unknown as ServeOptions)).rejects.toThrow(/did you mean "port"/)
  })

  it('passes the error of listen on, and leaves no handler behind', async () => {
    const { port } = await served(() => {})
    const before = process.listenerCount('SIGTERM')
    await expect(serve(() => {}, { host: '127.0.0.1', port: port ?? 0, crash: false })).rejects.toMatchObject(
      {
        code: 'EADDRINUSE',
      },
    )
    expect(process.listenerCount('SIGTERM')).toBe(before)
  })

  it('K53 outlives clients that cannot be accepted for want of descriptors', async () => {
    const { server, port } = await served((_req, res) => res.end('app'))
    const { _handle } = server as object as { _handle: { onconnection(error: number): void } }
    for (let i = 0; i < 3; i++) _handle.onconnection(-constants.errno.EMFILE)
    expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe('app')
  })

  it('closes the app and what it was given, in order, after the last response', async () => {
    const log: string[] = []
    const app = fastify()
    app.addHook('onClose', async () => void log.push('fastify'))
    app.get('/', async () => {
      await new Promise((resolve) => setTimeout(resolve, 100))
      log.push('response')
      return 'done'
    })
    const close = [{ close: () => void log.push('first') }, { close: () => void log.push('second') }]
    const running = await serve(app, { ...LOCAL, close })
    const answer = fetch(`http://127.0.0.1:${running.port}`).then((response) => response.text())
    await eventually(() => running.stats().active === 1)
    await Promise.all([running.close(), running.close()])
    expect(await answer).toBe('done')
    expect(log).toEqual(['response', 'fastify', 'second', 'first'])
  })

  it('K32 does not wait for idle keep-alive connections, nor for those that never say anything', async () => {
    const running = await serve((_req, res) => res.end('ok'), LOCAL)
    const silent = connectTcp(running.port ?? 0, '127.0.0.1')
    silent.on('error', () => {})
    const idle = connectTcp(running.port ?? 0, '127.0.0.1')
    idle.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await new Promise((resolve) => idle.once('data', resolve))
    await eventually(() => running.stats().connections === 2)
    await running.close({ timeout: '20s' })
    await eventually(() => silent.destroyed && idle.destroyed)
  })

  it('answers a request over an open connection while draining, with Connection: close', async () => {
    const running = await serve((_req, res) => void setTimeout(() => res.end('ok'), 50), LOCAL)
    const socket = connectTcp(running.port ?? 0, '127.0.0.1')
    let text = ''
    socket.on('data', (data) => {
      text += data
    })
    const ask = () => socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    ask()
    await eventually(() => text.endsWith('ok'))
    expect(text).toMatch(/Connection: keep-alive/)
    text = ''
    const closed = running.close()
    ask()
    await eventually(() => text.endsWith('ok'))
    expect(text).toMatch(/Connection: close/)
    await closed
  })

  it('cuts off at the deadline, and at once when aborted', async () => {
    const running = await serve(() => {}, LOCAL)
    const failed = new Promise((resolve) => {
      request({ port: running.port, host: '127.0.0.1' }).once('error', resolve).end()
    })
    await eventually(() => running.stats().active === 1)
    await running.close({ timeout: '1h', signal: AbortSignal.abort() })
    expect(await failed).toBeInstanceOf(Error)
  })
})

describe('TLS', () => {
  it('K36 takes a new certificate without a restart, and keeps the old one when the new one is no good', async () => {
    const files = certificate('first')
    const { port = 0, reloadTls } = await served((_req, res) => res.end('ok'), {
      tls: { ...files, watch: 25 },
    })
    expect(await commonName(port)).toBe('first')
    const next = certificate('second')
    writeFileSync(files.key, readFileSync(next.key))
    writeFileSync(files.cert, readFileSync(next.cert))
    await eventually(async () => (await commonName(port)) === 'second')
    writeFileSync(files.cert, 'no certificate')
    await expect(reloadTls()).rejects.toThrow()
    expect(await commonName(port)).toBe('second')
  })

  it('drains HTTPS: a request in flight is answered', async () => {
    const files = certificate('drain')
    const handler = (_req: unknown, res: { end(text: string): void }) =>
      void setTimeout(() => res.end('ok'), 100)
    const running = await serve(handler, { ...LOCAL, tls: files })
    const agent = new Agent({ keepAlive: true, rejectUnauthorized: false })
    onTestFinished(() => agent.destroy())
    const { get } = await import('node:https')
    const answer = new Promise<string>((resolve, reject) => {
      get({ port: running.port, host: '127.0.0.1', agent }, (res) => {
        res.setEncoding('utf8').once('data', resolve)
      }).once('error', reject)
    })
    await eventually(() => running.stats().active === 1)
    await running.close()
    expect(await answer).toBe('ok')
  })

  it('drains HTTP/2: streams in flight are answered, then the session ends', async () => {
    const files = certificate('h2')
    const handler = (_req: unknown, res: { end(text: string): void }) =>
      void setTimeout(() => res.end('ok'), 100)
    const running = await serve(handler, { ...LOCAL, tls: files, http2: true })
    const session = connectHttp2(`https://127.0.0.1:${running.port}`, { rejectUnauthorized: false })
    onTestFinished(() => session.destroy())
    const ended = new Promise<void>((resolve) => session.once('close', () => resolve()))
    const stream = session.request({ ':path': '/' })
    const answer = new Promise<string>((resolve, reject) => {
      stream.setEncoding('utf8').once('data', resolve).once('error', reject)
    })
    stream.end()
    await eventually(() => running.stats().active === 1)
    await running.close()
    expect(await answer).toBe('ok')
    await ended
  })
})

describe('alone, without a supervisor', () => {
  const alone = (env: Record<string, string> = {}) => {
    const app = spawnApp(new URL('../fixtures/alone.mjs', import.meta.url), { env })
    onTestFinished(() => app[Symbol.asyncDispose]())
    return app
  }

  it('K31 says 503 on readiness for the delay, serves all the while, then drains, cleans up and exits with 0', async () => {
    const app = alone({ DELAY: '1500' })
    const [, port] = await app.waitForLine(/port (\d+)/, { timeout: 60_000 })
    const url = `http://127.0.0.1:${port}`
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
    const slow = fetch(`${url}/slow`).then((response) => response.text())
    app.kill('SIGTERM')
    await eventually(async () => (await fetch(`${url}/readyz`)).status === 503)
    expect(await (await fetch(url)).text()).toBe('ok')
    expect(await slow).toBe('slow')
    expect(await app.exited).toEqual({ code: 0, signal: null })
    expect(app.output()).toMatch(/pool closed/)
  })

  it('K11 ends at once at the second signal', async () => {
    const app = alone({ DELAY: '60000' })
    const [, port] = await app.waitForLine(/port (\d+)/, { timeout: 60_000 })
    app.kill('SIGTERM')
    await eventually(async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status === 503)
    app.kill('SIGINT')
    expect(await app.exited).toEqual({ code: 130, signal: null })
  })
})
