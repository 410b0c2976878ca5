import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { freePort, load } from '../src/index.js'

let close = async () => {}

async function serve(listener: RequestListener) {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  close = () =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  const address = server.address()
  return `http://127.0.0.1:${address !== null && typeof address === 'object' ? address.port : 0}/`
}

afterEach(() => close())

describe('load', () => {
  it('sends exactly as many requests as it is told, over as many connections', async () => {
    let served = 0
    const url = await serve((_, response) => {
      response.statusCode = ++served % 4 === 0 ? 503 : 200
      response.end('x'.repeat(1000))
    })
    const summary = await load({ url, requests: 200, connections: 5 })
    expect(served).toBe(200)
    expect(summary).toMatchObject({
      requests: 200,
      ok: 150,
      statuses: { 200: 150, 503: 50 },
      failed: 0,
      connections: 5,
    })
    expect(summary.errors).toEqual({})
    expect(summary.latency.p99).toBeGreaterThanOrEqual(summary.latency.p50)
    expect(summary.latency.max).toBeGreaterThan(0)
  })

  it('opens a connection for each request without keepAlive', async () => {
    const url = await serve((_, response) => response.end('x'))
    const summary = await load({ url, requests: 30, connections: 3, keepAlive: false })
    expect(summary).toMatchObject({ ok: 30, connections: 30 })
  })

  it('counts and records every failure: reset, cut body, refused, late', async () => {
    let n = 0
    const url = await serve((request, response) => {
      n++
      if (n === 2) request.socket.resetAndDestroy()
      else if (n === 4) {
        response.writeHead(200, { 'content-length': 100 })
        response.write('half')
        setImmediate(() => response.destroy())
      } else if (n !== 6) response.end('x')
    })
    const summary = await load({ url, requests: 8, connections: 1, timeoutMs: 2000 })
    expect(summary).toMatchObject({ requests: 8, ok: 5, statuses: { 200: 5 }, failed: 3 })
    expect(summary.errors.TIMEOUT).toBe(1)
    expect(Object.values(summary.errors).reduce((a, b) => a + b)).toBe(3)
    expect(summary.failures.map(({ n: number, reused }) => [number, reused])).toEqual([
      [1, true],
      [3, true],
      [5, true],
    ])
    expect(summary.failures[1]).toMatchObject({ status: 200 })

    const refused = await load({ url: `http://127.0.0.1:${await freePort()}`, requests: 3, connections: 2 })
    expect(refused).toMatchObject({
      requests: 3,
      ok: 0,
      errors: { ECONNREFUSED: 3 },
      connections: 0,
      failed: 3,
    })
    expect(refused.latency).toEqual({ p50: 0, p99: 0, max: 0, mean: 0 })
  })

  it('keeps to a rate and a duration, and sends method, path, headers and body', async () => {
    const seen = new Set<string>()
    const url = await serve((request, response) => {
      let body = ''
      request.on('data', (piece) => {
        body += piece
      })
      request.on('end', () => {
        seen.add(`${request.method} ${request.url} ${request.headers['x-a']} ${body}`)
        response.end()
      })
    })
    const summary = await load({
      url,
      rps: 100,
      durationMs: 300,
      method: 'POST',
      headers: { 'x-a': 'b' },
      body: 'hello',
      path: (n) => `/city/${n}`,
    })
    expect(summary.requests).toBe(30)
    expect(seen.size).toBe(30)
    expect(seen).toContain('POST /city/29 b hello')
  })

  it('stops on a signal without cutting what is under way', async () => {
    const stop = new AbortController()
    let served = 0
    const url = await serve((_, response) => {
      if (++served === 20) stop.abort()
      setImmediate(() => response.end())
    })
    const summary = await load({
      url,
      durationMs: 60_000,
      connections: 4,
      thinkTimeMs: 1,
      signal: stop.signal,
    })
    expect(summary.failed).toBe(0)
    expect(summary.ok).toBe(served)
    expect(served).toBeLessThan(30)
  })

  it('refuses to be endless', async () => {
    await expect(load({ url: 'http://127.0.0.1:1' })).rejects.toThrow(RangeError)
  })
})
