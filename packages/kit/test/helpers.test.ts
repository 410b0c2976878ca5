import { createServer } from 'node:http'
import { Readable } from 'node:stream'
import { describe, expect, it, vi } from 'vitest'
import {
  ask,
  askAndLeave,
  FRAMEWORKS,
  latch,
  open,
  patience,
  serving,
  start,
  until,
  within,
  withoutLeak,
  withoutUnhandled,
} from '../testing/index.js'

/** With little patience, for what must fail. */
async function impatiently<T>(work: () => Promise<T>): Promise<T> {
  const before = patience.milliseconds
  patience.milliseconds = 50
  try {
    return await work()
  } finally {
    patience.milliseconds = before
  }
}

describe('waiting', () => {
  it('within: gives the result in time, passes a failure on, and names what did not happen', async () => {
    expect(await within(Promise.resolve(1), 'one')).toBe(1)
    await expect(within(Promise.reject(new Error('own')), 'one')).rejects.toThrow('own')
    await expect(within(latch().promise, 'the moon rises', 5)).rejects.toThrow(
      'Not within 5 ms: the moon rises',
    )
  })

  it('until: looks again and again, also with an async condition', async () => {
    let looks = 0
    await until(() => ++looks === 3, 'the third look')
    await until(async () => ++looks === 5, 'the fifth look')
    await expect(
      until(
        () => false,
        () => `look ${looks}`,
        5,
      ),
    ).rejects.toThrow('Not within 5 ms: look 5')
  })

  it('withoutLeak: sees a server, a timer, a socket; not what is closed, unreferenced or fired', async () => {
    const server = createServer()
    const serve = async () => void (await new Promise<void>((done) => server.listen(0, '127.0.0.1', done)))
    await expect(impatiently(() => withoutLeak(serve))).rejects.toThrow(/nothing keeps.*TCPSERVERWRAP/)
    server.close()

    const timers: NodeJS.Timeout[] = []
    const tick = async () => void timers.push(setInterval(() => {}, 60_000))
    await expect(impatiently(() => withoutLeak(tick))).rejects.toThrow(/Timeout/)
    for (const timer of timers) clearInterval(timer)

    await withoutLeak(async () => {
      const timer = setInterval(() => {}, 60_000).unref()
      await new Promise((resolve) => setTimeout(resolve, 1))
      clearTimeout(setTimeout(() => {}, 60_000))
      const closed = createServer()
      await new Promise<void>((done) => closed.listen(0, '127.0.0.1', done))
      await new Promise((done) => closed.close(done))
      timers.push(timer)
    })
    for (const timer of timers) clearInterval(timer)
  })

  it('withoutLeak: passes a failure on', async () => {
    await expect(withoutLeak(() => Promise.reject(new Error('own')))).rejects.toThrow('own')
  })

  it('withoutUnhandled: sees a rejection nobody handles, and gives the listeners back', async () => {
    const before = process.listeners('unhandledRejection')
    const leave = async () => void Promise.reject(new Error('nobody'))
    await expect(withoutUnhandled(leave)).rejects.toThrow(/nobody handled.*nobody/)
    expect(await withoutUnhandled(async () => 'fine')).toBe('fine')
    expect(process.listeners('unhandledRejection')).toEqual(before)
  })
})

describe.each(FRAMEWORKS)('a site on %s', (framework) => {
  it('answers text, bytes, streams, statuses, headers, HEAD and an unknown path', async () => {
    const routes = {
      'GET /': () => ({ status: 201, headers: { 'x-a': '1', 'set-cookie': ['a=1', 'b=2'] }, body: 'text' }),
      'GET /bytes': async () => ({ body: Buffer.from([0, 255]) }),
      'GET /stream': () => ({ body: Readable.from(['a', 'b'], { objectMode: false }) }),
      'POST /': () => ({ body: 'posted' }),
    }
    await serving(framework, { routes }, async (app) => {
      const first = await app.ask('/')
      expect(first).toMatchObject({ status: 201, text: 'text', headers: { 'x-a': '1' } })
      expect(first.headers['set-cookie']).toEqual(['a=1', 'b=2'])
      expect((await app.ask('/', { method: 'HEAD' })).text).toBe('')
      expect((await app.ask('/bytes')).body).toEqual(Buffer.from([0, 255]))
      expect((await app.ask('/stream')).text).toBe('ab')
      expect((await app.ask('/', { method: 'POST', body: 'x' })).text).toBe('posted')
      expect((await app.ask('/none')).status).toBe(404)
    })
  })

  it("shows the user's own error handler what was thrown", async () => {
    const mistake = Object.assign(new Error('mistake'), { status: 418, code: 'E_OWN' })
    const site = { routes: { 'GET /': () => Promise.reject(mistake) }, ownErrorHandler: true }
    await serving(framework, site, async (app) => {
      expect(await app.ask('/')).toMatchObject({ status: 418, text: '{"problem":"E_OWN"}' })
      expect(app.errors).toEqual([mistake])
    })
  })

  it('waits for responses whose client has left, and closes once', async () => {
    const held = latch()
    const begun = vi.fn()
    const routes = {
      'GET /slow': async () => {
        begun()
        await held.promise
        return {}
      },
    }
    const app = await start(framework, { routes })
    await askAndLeave(`${app.origin}/slow`)
    await app.idle()
    held.open()
    const closing = app.close()
    expect(app.close()).toBe(closing)
    await closing
    await expect(ask(`${app.origin}/slow`)).rejects.toThrow()
    await expect(open(`${app.origin}/slow`)).rejects.toThrow()
  })
})
