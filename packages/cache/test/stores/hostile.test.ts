import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { withoutUnhandled } from '@spillway/kit/testing'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, it } from 'vitest'
import { Cache, type CacheStore, memcachedStore, redisStore } from '../../src/index.js'

/**
 * Servers that do not keep to their protocol: broken, taken over, or something else altogether. The cache then does
 * without its second tier; no call hangs, nothing grows, nothing is thrown where nobody catches it.
 */

const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

/** A server that answers each piece it gets with what `answer` says. */
async function serverThat(answer: (text: string, socket: Socket) => string | Buffer): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (bytes) => {
      if (!socket.destroyed) socket.write(answer(bytes.toString('latin1'), socket))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** Every call of the cache does its work, by the loader where the store is of no use. */
async function stillWorks(store: CacheStore): Promise<void> {
  const cache = new Cache({ store, l1: false, storeTimeout: 50 })
  open.push(() => cache.close({ timeout: 100 }))
  await withoutUnhandled(async () => {
    for (let i = 0; i < 8; i++) {
      const loaded = await Promise.all([
        cache.getOrSet(`k${i}`, () => i, { tags: ['tag'] }),
        cache.getOrSet(`l${i}`, () => i),
      ])
      expect(loaded).toEqual([i, i])
      expect(await cache.getMany([`k${i}`, 'other'])).toHaveLength(2)
      await cache.set('set', i)
      await cache.delete('set')
      await cache.deleteByTag('tag')
    }
  })
}

describe('S9 a Memcached server that answers', () => {
  it.each([
    ['VA without a number', 'VA x\r\n'],
    ['VA with a number below 0', 'VA -9\r\n'],
    ['VA of gigabytes', 'VA 999999999\r\n'],
    ['a line without end', 'H'.repeat(100)],
    ['an unknown code', 'WHAT\r\n'],
    ['more than it was asked for', 'HD\r\n'.repeat(50)],
    ['another protocol', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['found, and no value', 'HD\r\n'],
    ['an entry of nothing', 'VA 0 c1 t10\r\n\r\n'],
    ['a lease that is cut', `VA 3 c1 t10\r\n${String.fromCharCode(0x1e)}ab\r\n`],
    ['no numbers where numbers belong', 'VA 1 cx tx\r\na\r\n'],
    ['a command where a number belongs', 'VA 1 c1\nflush_all t5\r\na\r\n'],
    ['nothing', ''],
  ])('%s', async (_title, reply) => {
    const port = await serverThat((text) => reply.repeat(text.split('\r\n').length - 1))
    await stillWorks(memcachedStore(`127.0.0.1:${port}`))
  })

  it('without end: the connection is dropped, and little is kept', async () => {
    let sent = 0
    const port = await serverThat((_text, socket) => {
      const more = () => {
        while (!socket.destroyed && sent < 64 * 1024 ** 2) {
          sent += 65_536
          if (!socket.write('H'.repeat(65_536))) return void socket.once('drain', more)
        }
      }
      more()
      return ''
    })
    await stillWorks(memcachedStore(`127.0.0.1:${port}`))
    expect(sent).toBeLessThan(64 * 1024 ** 2)
  })
})

describe('S9 a Redis server that answers', () => {
  it.each([
    ['integers', ':5\r\n'],
    ['words', '+OK\r\n'],
    ['nothing', '$-1\r\n'],
    ['empty lists', '*0\r\n'],
    ['lists of integers', '*2\r\n:1\r\n:2\r\n'],
    ['lists of lists', '*2\r\n*1\r\n$1\r\na\r\n*0\r\n'],
    ['long lists', `*9\r\n${'$1\r\na\r\n'.repeat(9)}`],
    ['errors', '-ERR no\r\n'],
    ['texts that are no numbers', '*2\r\n$3\r\nNaN\r\n$8\r\nInfinity\r\n'],
    ['ages below 0', '*2\r\n$3\r\nabc\r\n$7\r\n-999999\r\n'],
    ['entries that are none', '*2\r\n$2\r\nab\r\n$1\r\n1\r\n'],
  ])('%s', async (_title, reply) => {
    const port = await serverThat((text) => reply.repeat(Math.max(1, text.split('\r\n*').length)))
    const client = new Redis(port, '127.0.0.1', {
      enableReadyCheck: false,
      retryStrategy: () => 50,
      maxRetriesPerRequest: 0,
      protocol: 2,
    } as object)
    client.on('error', () => {})
    open.push(() => client.disconnect())
    await stillWorks(redisStore(client, { bus: false }))
  })
})
