import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { eventually, type MemcachedServer, startMemcached } from '../src/index.js'

async function ask({ host, port }: MemcachedServer, request: string, end: RegExp) {
  const socket = connect({ host, port })
  let reply = ''
  socket.on('data', (bytes) => {
    reply += bytes
  })
  socket.write(request)
  await eventually(() => end.test(reply))
  socket.destroy()
  return reply
}

describe('a private Memcached', () => {
  it('stores, and is empty after a restart on the same port', async () => {
    await using memcached = await startMemcached({ args: ['-m', '8'] })
    const { port } = memcached
    expect(memcached.url()).toBe(`127.0.0.1:${port}`)
    expect(await ask(memcached, 'set city 0 0 6\r\nLisbon\r\n', /\r\n/)).toBe('STORED\r\n')
    expect(await ask(memcached, 'get city\r\n', /END/)).toContain('Lisbon')
    expect(await ask(memcached, 'stats settings\r\n', /END/)).toContain(`maxbytes ${8 * 1024 * 1024}`)
    await memcached.kill()
    await memcached.restart()
    expect(memcached.port).toBe(port)
    expect(await ask(memcached, 'get city\r\n', /END/)).toBe('END\r\n')
  })

  it('does not answer for another server on its port', async () => {
    await using first = await startMemcached()
    await expect(startMemcached({ port: first.port })).rejects.toThrow(/Address already in use/)
  })
})
