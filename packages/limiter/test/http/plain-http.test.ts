import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { type Answer, ask } from '@spillway/kit/testing'
import type { RequestHandler } from 'express'
import { describe, expect, it } from 'vitest'
import { askHttp2 } from '../../../kit/testing/client-http2.js'
import { limitConcurrency, rateLimit } from '../../src/express.js'
import { ConcurrencyLimiter } from '../../src/index.js'

/** One request over the limit of a gate that stands before a plain `node:http` or `node:http2` handler. */
async function second(gate: RequestHandler, http2: boolean, accept = '*/*'): Promise<[Answer, unknown[]]> {
  const seen: unknown[] = []
  const listener: RequestListener = (req, res) => {
    gate(req as never, res as never, (error?: unknown) => {
      if (error === undefined) {
        res.end('ok')
        return
      }
      seen.push(error)
      res.statusCode = (error as { status: number }).status
      res.end('own')
    })
  }
  const server = http2 ? createHttp2Server(listener as never) : createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const asked = http2 ? askHttp2 : ask
  try {
    await asked(url)
    return [await asked(url, { headers: { accept } }), seen]
  } finally {
    server.close()
  }
}

describe.each([
  ['node:http', false],
  ['node:http2', true],
])('L51 the gates of Express on %s', (_name, http2) => {
  const limit = { limit: 1, window: '1h', key: () => 'all' } as const

  it('a refusal goes to next, with its headers on the response', async () => {
    const [answer, seen] = await second(rateLimit(limit), http2)
    expect([answer.status, answer.text]).toEqual([429, 'own'])
    expect(answer.headers['retry-after']).toMatch(/^[1-9]/)
    expect(seen).toMatchObject([{ code: 'ERR_LIMITER_LIMITED' }])
  })

  it('is answered by option, in the form that the client prefers', async () => {
    const [text] = await second(rateLimit({ ...limit, onRefused: 'answer' }), http2)
    expect([text.status, text.headers['content-type']]).toEqual([429, 'text/plain; charset=utf-8'])
    expect(text.text).toMatch(/^Too many requests/)
    const [problem, seen] = await second(
      rateLimit({ ...limit, onRefused: 'answer' }),
      http2,
      'application/json',
    )
    expect(problem.headers['content-type']).toBe('application/problem+json; charset=utf-8')
    expect(JSON.parse(problem.text)).toMatchObject({
      type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
      status: 429,
      code: 'ERR_LIMITER_LIMITED',
    })
    expect(seen).toEqual([])
  })

  it.each([
    ['a text', { message: 'Slow down' }, 'Slow down', 'text/plain; charset=utf-8'],
    ['an object', { message: { slow: 'down' } }, '{"slow":"down"}', 'application/json; charset=utf-8'],
    [
      'a problem document',
      { problem: true },
      expect.stringContaining('"status":429'),
      'application/problem+json',
    ],
  ])('a message of its own: %s', async (_what, options, body, type) => {
    const [answer, seen] = await second(rateLimit({ ...limit, ...options }), http2)
    expect([answer.status, answer.text, answer.headers['content-type']]).toEqual([429, body, type])
    expect(answer.headers['retry-after']).toMatch(/^[1-9]/)
    expect(seen).toEqual([])
  })

  it('a refusal of limitConcurrency goes to next, too', async () => {
    const limiter = new ConcurrencyLimiter({ limit: 1 })
    limiter.tryAcquire()
    const [answer] = await second(limitConcurrency({ limiter, onRefused: 'answer' }), http2)
    expect([answer.status, answer.headers['retry-after']]).toEqual([503, expect.stringMatching(/^[1-9]/)])
  })
})
