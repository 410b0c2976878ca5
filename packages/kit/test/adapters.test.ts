import { once } from 'node:events'
import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import { describe, expect, it, vi } from 'vitest'
import { applyVerdict, type TappedBody, tapBody } from '../src/express.js'
import { plugin, setHeaders } from '../src/fastify.js'
import { RejectedError } from '../src/index.js'
import { applyVerdict as applyToKoa } from '../src/koa.js'
import { ask, latch, open, within } from '../testing/index.js'

const error = new RejectedError('no', { code: 'ERR_TEST_NO', status: 429 })

describe('applyVerdict', () => {
  it('sets the headers and goes on, with the refusal if there is one (Express)', () => {
    const res = { setHeader: vi.fn() } as Partial<ServerResponse> as ServerResponse
    const next = vi.fn()
    applyVerdict({ headers: { a: '1', b: '2' } }, res, next)
    applyVerdict({ headers: {}, error }, res, next)
    expect(vi.mocked(res.setHeader).mock.calls).toEqual([
      ['a', '1'],
      ['b', '2'],
    ])
    expect(next.mock.calls).toEqual([[], [error]])
  })

  it('sets the headers and throws the refusal if there is one (Koa)', () => {
    const ctx = { set: vi.fn(), res: {} as ServerResponse }
    expect(() => applyToKoa({ headers: { a: '1' } }, ctx)).not.toThrow()
    expect(() => applyToKoa({ headers: { b: '2' }, error }, ctx)).toThrow(error)
    expect(ctx.set.mock.calls).toEqual([
      ['a', '1'],
      ['b', '2'],
    ])
  })
})

describe('plugin', () => {
  it('speaks to the scope it is registered in, and says its name and its Fastify', async () => {
    const app = Fastify()
    const named = plugin('@spillway/test', async (scope: FastifyInstance, { value }: { value: string }) => {
      scope.decorate('probe', value)
    })
    await app.register(named, { value: 'seen' })
    expect(Reflect.get(app, 'probe')).toBe('seen')
    expect(app.printPlugins()).toContain('@spillway/test')
    expect(Reflect.get(named, Symbol.for('plugin-meta'))).toEqual({ name: '@spillway/test', fastify: '5.x' })
    await app.close()
  })

  it('takes a plugin with a callback too', async () => {
    const app = Fastify()
    app.register(
      plugin('callback', (scope: FastifyInstance, _options: object, done: () => void) => {
        scope.decorate('probe', 1)
        done()
      }),
    )
    await app.ready()
    expect(app.hasDecorator('probe')).toBe(true)
    await app.close()
  })

  it('sets the headers of a verdict on a reply', () => {
    const reply = { header: vi.fn() }
    setHeaders(reply, { a: '1', b: '2' })
    expect(reply.header.mock.calls).toEqual([
      ['a', '1'],
      ['b', '2'],
    ])
  })
})

describe('tapBody', () => {
  async function tapped(
    maxBytes: number,
    listener: RequestListener,
    client: (url: string) => Promise<unknown>,
  ): Promise<TappedBody> {
    const done = latch<TappedBody>()
    const server = createServer((req, res) => {
      tapBody(res, maxBytes, done.open)
      listener(req, res)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      await client(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
      return await within(done.promise, 'the tap is done')
    } finally {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    }
  }

  it('hands over what was sent: text, encodings, bytes, trailing chunk, callbacks', async () => {
    const called: string[] = []
    const { body } = await tapped(
      100,
      (_req, res) => {
        res.write('grüße ', () => called.push('write'))
        res.write('ff00', 'hex')
        res.write(Buffer.from([1, 2]))
        res.end(new Uint8Array([3]), () => called.push('end'))
      },
      async (url) => {
        const answer = await ask(url)
        expect(answer.body).toEqual(Buffer.from([...Buffer.from('grüße '), 0xff, 0, 1, 2, 3]))
      },
    )
    expect(body).toEqual(Buffer.from([...Buffer.from('grüße '), 0xff, 0, 1, 2, 3]))
    expect(called).toEqual(['write', 'end'])
  })

  it('is empty for an empty response, with or without a callback', async () => {
    expect((await tapped(10, (_req, res) => res.end(), ask)).body).toEqual(Buffer.alloc(0))
    expect((await tapped(10, (_req, res) => res.end(() => {}), ask)).body).toEqual(Buffer.alloc(0))
  })

  it('keeps a copy: the writer may reuse its buffer', async () => {
    const buffer = Buffer.from('first')
    const { body } = await tapped(
      100,
      (_req, res) => {
        res.write(buffer, () => {
          buffer.fill('x')
          res.end()
        })
      },
      ask,
    )
    expect(body?.toString()).toBe('first')
  })

  it('hands over a body of just the cap, and none that is a byte larger, which is sent all the same', async () => {
    expect((await tapped(4, (_req, res) => res.end('1234'), ask)).body?.toString()).toBe('1234')
    const { body } = await tapped(
      4,
      (_req, res) => {
        res.write('123')
        res.end('45')
      },
      async (url) => expect((await ask(url)).text).toBe('12345'),
    )
    expect(body).toBeUndefined()
  })

  it('hands over nothing when the client left before the end', async () => {
    const { body } = await tapped(
      100,
      (_req, res) => res.write('the first half'),
      async (url) => (await open(url)).on('error', () => {}).destroy(),
    )
    expect(body).toBeUndefined()
  })

  it('passes the answer of write on, so that back-pressure works', async () => {
    const answers: boolean[] = []
    await tapped(
      10,
      (_req, res) => {
        answers.push(res.write('x'), res.write(Buffer.alloc(10_000_000)))
        res.end()
      },
      ask,
    )
    expect(answers).toEqual([true, false])
  })
})
