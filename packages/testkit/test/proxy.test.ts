import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventually, type FaultProxy, startProxy } from '../src/index.js'

// Answers each piece with ten times as much.
const target = createServer((socket) => {
  socket.on('error', () => {})
  socket.on('data', (bytes) => socket.write(Buffer.alloc(bytes.length * 10, 'r')))
})
const clients: Socket[] = []
let proxy: FaultProxy

interface Client {
  readonly socket: Socket
  received: number
  error: string | undefined
  closed: boolean
}

function client(): Client {
  const socket = connect({ port: proxy.port, host: proxy.host })
  clients.push(socket)
  const state: Client = { socket, received: 0, error: undefined, closed: false }
  socket.on('data', (bytes) => {
    state.received += bytes.length
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    state.error = error.code
  })
  socket.on('close', () => {
    state.closed = true
  })
  return state
}

async function ask(each: Client, bytes = 10) {
  const expected = each.received + bytes * 10
  each.socket.write(Buffer.alloc(bytes, 'q'))
  await eventually(() => each.received === expected)
}

beforeEach(async () => {
  target.listen(0, '127.0.0.1')
  await once(target, 'listening')
  const address = target.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  proxy = await startProxy({ target: { port: address.port } })
})

afterEach(async () => {
  await proxy.close()
  for (const socket of clients.splice(0)) socket.destroy()
  await new Promise((resolve) => target.close(resolve))
})

describe('the fault proxy', () => {
  it('hands everything on and counts it', async () => {
    const one = client()
    const two = client()
    await Promise.all([ask(one), ask(two, 100_000)])
    expect(proxy.stats()).toEqual({
      connections: 2,
      open: 2,
      bytesUp: 100_010,
      bytesDown: 1_000_100,
      cuts: 0,
    })
    one.socket.end()
    two.socket.destroy()
    await eventually(() => proxy.stats().open === 0)
  })

  it('delays both ways and keeps the order of what it delays', async () => {
    const one = client()
    await ask(one)
    await proxy.delay(40)
    const begin = performance.now()
    await Promise.all([ask(one, 1), ask(client(), 1)])
    expect(performance.now() - begin).toBeGreaterThanOrEqual(80 - 2)
  })

  it('swallows when it stalls, with sockets that stay open, existing and new', async () => {
    const one = client()
    await ask(one)
    await proxy.stall()
    const two = client()
    one.socket.write('lost')
    two.socket.write('lost too')
    await eventually(() => proxy.stats().bytesUp === 22)
    expect(proxy.stats()).toMatchObject({ connections: 2, open: 2, bytesDown: 100 })
    expect([one.closed, two.closed]).toEqual([false, false])
    await proxy.pass()
    await ask(client())
  })

  it('cuts a reply after n bytes, once', async () => {
    const one = client()
    await ask(one)
    await proxy.cutAfter(30)
    one.socket.write('0123456789')
    await eventually(() => one.closed)
    expect(one.received).toBe(130)
    expect(proxy.stats().cuts).toBe(1)
    await ask(client())
  })

  it('refuses by not listening, and comes back on its port', async () => {
    const { port } = proxy
    const one = client()
    await ask(one)
    await proxy.refuse()
    const two = client()
    await eventually(() => one.closed && two.closed)
    expect([one.error, two.error]).toEqual(['ECONNRESET', 'ECONNREFUSED'])
    await proxy.pass()
    expect(proxy.port).toBe(port)
    await ask(client())
  })

  it('drops the open connections and serves new ones', async () => {
    const one = client()
    await ask(one)
    expect(proxy.dropConnections()).toBe(1)
    await eventually(() => one.closed)
    await ask(client())
  })

  it('hands a failing target on as a reset', async () => {
    await new Promise((resolve) => target.close(resolve))
    const one = client()
    await eventually(() => one.closed)
    expect(one.error).toBe('ECONNRESET')
    target.listen(0, '127.0.0.1')
    await once(target, 'listening')
  })
})
