import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { onResponseEnd, pathOf, responseSignal } from '../src/index.js'
import { ask, askAndLeave, latch, turns, within } from '../testing/index.js'

async function serve(listener: RequestListener, work: (url: string) => Promise<void>): Promise<void> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  } finally {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
}

describe('pathOf', () => {
  it.each([
    ['/', '/'],
    ['/a/b', '/a/b'],
    ['/a?b=/c', '/a'],
    ['/a#b?c', '/a'],
    ['/?', '/'],
    ['?a', ''],
    ['', ''],
    ['*', '*'],
  ])('%s is %s', (target, path) => {
    expect(pathOf(target)).toBe(path)
  })
})

describe('responseSignal', () => {
  it('is one per response, and does not abort when the response is finished', async () => {
    const over = latch<AbortSignal>()
    await serve(
      (_req, res) => {
        const signal = responseSignal(res)
        expect(responseSignal(res)).toBe(signal)
        res.once('close', () => over.open(signal))
        res.end('text')
      },
      async (url) => {
        expect((await ask(url)).text).toBe('text')
        const signal = await within(over.promise, 'the response closes')
        await turns()
        expect(signal.aborted).toBe(false)
      },
    )
  })

  it('aborts with an AbortError when the client goes away', async () => {
    const gone = latch<unknown>()
    await serve(
      (_req, res) => {
        const signal = responseSignal(res)
        signal.addEventListener('abort', () => gone.open(signal.reason))
      },
      async (url) => {
        await askAndLeave(url)
        expect(await within(gone.promise, 'the signal aborts')).toMatchObject({ name: 'AbortError' })
      },
    )
  })

  it('has aborted when it is asked for after the client went away', async () => {
    const late = latch<boolean>()
    await serve(
      (_req, res) => {
        res.once('close', () => late.open(responseSignal(res).aborted))
      },
      async (url) => {
        await askAndLeave(url)
        expect(await within(late.promise, 'the response closes')).toBe(true)
      },
    )
  })
})

describe('onResponseEnd', () => {
  it('tells whether the response was finished, once, also when it is over already', async () => {
    const calls: string[] = []
    const over = latch()
    await serve(
      (req, res) => {
        onResponseEnd(res, (finished) => calls.push(`${req.method} ${finished}`))
        res.once('close', () => {
          onResponseEnd(res, (finished) => calls.push(`late ${finished}`))
          over.open()
        })
        if (req.method === 'POST') res.end()
      },
      async (url) => {
        await ask(url, { method: 'POST' })
        await within(over.promise, 'the response closes')
        expect(calls).toEqual(['POST true', 'late true'])
      },
    )
    const gone = latch()
    calls.length = 0
    await serve(
      (_req, res) => {
        onResponseEnd(res, (finished) => {
          calls.push(String(finished))
          gone.open()
        })
      },
      async (url) => {
        await askAndLeave(url)
        await within(gone.promise, 'the response closes')
        expect(calls).toEqual(['false'])
      },
    )
  })
})
