import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { answerRefusal } from '../src/answer.js'
import { RejectedError } from '../src/index.js'

describe('answerRefusal', () => {
  it('sends none of the headers that the app has set for its page, and lets no cache store the answer', async () => {
    const error = new RejectedError('Too many requests', {
      code: 'ERR_TEST',
      status: 429,
      headers: { 'Retry-After': '5' },
    })
    const server = createServer((_req, res) => {
      res.setHeader('Content-Encoding', 'gzip')
      res.setHeader('Content-Range', 'bytes 0-9/10')
      res.setHeader('ETag', '"page"')
      res.setHeader('Last-Modified', new Date().toUTCString())
      res.setHeader('Cache-Control', 'public, max-age=3600')
      res.setHeader('X-Request-Id', 'kept')
      answerRefusal(error, res)
    }).listen(0, '127.0.0.1')
    try {
      await new Promise((resolve) => server.once('listening', resolve))
      const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
      expect(response.status).toBe(429)
      expect(await response.text()).toBe('Too many requests\n')
      const { headers } = response
      expect(headers.get('cache-control')).toBe('no-store')
      expect(headers.get('retry-after')).toBe('5')
      expect(headers.get('x-request-id')).toBe('kept')
      for (const name of ['content-encoding', 'content-range', 'etag', 'last-modified'])
        expect(headers.has(name)).toBe(false)
    } finally {
      server.close()
    }
  })
})
