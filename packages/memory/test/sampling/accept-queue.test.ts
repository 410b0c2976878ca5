import { existsSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { AcceptQueue, type KernelFile } from '../../src/sampling/accept-queue.js'

const why = existsSync('/proc/net/tcp') ? '' : 'only Linux tells'

async function listening(host: string): Promise<Server & AsyncDisposable> {
  const sockets: Socket[] = []
  const server = createServer((socket) => sockets.push(socket))
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  return Object.assign(server, {
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  })
}

function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

describe('the accept queue', () => {
  it.for(['127.0.0.1', '::'])('has the length of the kernel’s queue, on %s', async (host, context) => {
    context.skip(why !== '', why)
    await using server = await listening(host)
    const queue = new AcceptQueue(() => server)
    expect(queue.length()).toBe(0)
    const clients = Array.from({ length: 30 }, () => connect(portOf(server), '127.0.0.1'))
    await turn() // connected by the kernel, and one at most accepted
    const first = queue.length()
    expect(first).toBeGreaterThan(20)
    await expect.poll(() => queue.length(), { timeout: 20_000 }).toBe(0)
    queue.close()
    for (const client of clients) client.destroy()
  })

  it('follows the server of the last request, and is unknown without one', async () => {
    await using server = await listening('127.0.0.1')
    let asked: Server | undefined
    const queue = new AcceptQueue(() => asked)
    expect(queue.length()).toBeUndefined()
    const client = connect(portOf(server), '127.0.0.1')
    asked = server
    expect(queue.length()).toBeLessThanOrEqual(1)
    asked = createServer() // does not listen
    expect(queue.length()).toBeUndefined()
    queue.close()
    expect(queue.length()).toBeUndefined()
    client.destroy()
  })
})

describe('the accept queue in the kernel’s file', () => {
  const HEAD = `${'  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt'.padEnd(149)}\n`
  const row = (slot: number, local: string, state: string, queue: number) =>
    `${`${String(slot).padStart(4)}: ${local} 00000000:0000 ${state} 00000000:${queue.toString(16).padStart(8, '0').toUpperCase()} 00:00000000 00000000     0        0 1`.padEnd(
      149,
    )}\n`

  /** The file as the kernel writes it: no more than is asked for at a time, at most a page. */
  function kernel(text: () => string) {
    const count = { opened: 0, reads: 0, bytes: 0 }
    const open = (): KernelFile => {
      count.opened++
      return {
        read(buffer, start, end) {
          count.reads++
          count.bytes += end - start
          return buffer.write(text().slice(start, end), start, 'latin1')
        },
        close: () => {},
      }
    }
    return { count, open }
  }

  const listening = (port: number, address = '127.0.0.1', more: object = {}) =>
    ({ address: () => ({ port, address, family: 'IPv4' }), ...more }) as unknown as Server

  it('M49: costs no byte more with 50,000 open connections', () => {
    const rows = (connections: number) =>
      HEAD +
      row(0, '0100007F:0016', '0A', 0) +
      row(1, '0100007F:1F90', '0A', 300) +
      Array.from({ length: connections }, (_, i) => row(i + 2, '0100007F:1F90', '01', 0)).join('')
    const costs = [10, 50_000].map((connections) => {
      const text = rows(connections)
      const { count, open } = kernel(() => text)
      const server = listening(8_080)
      const queue = new AcceptQueue(() => server, open)
      queue.length() // finds it
      const before = { ...count }
      for (let i = 0; i < 100; i++) expect(queue.length()).toBe(300)
      expect(before.bytes).toBeLessThanOrEqual(4_096)
      return [count.reads - before.reads, count.bytes - before.bytes]
    })
    expect(costs[0]).toEqual(costs[1])
    expect(costs[0]![0]).toBe(100)
    expect(costs[0]![1]! / 100).toBeLessThan(512)
  })

  it('M49: is found beyond the first page, and again when its row has moved', () => {
    let listeners = 60
    const { open } = kernel(
      () =>
        HEAD +
        Array.from({ length: listeners }, (_, i) =>
          row(i, `0100007F:${(i + 4_096).toString(16).toUpperCase()}`, '0A', 0),
        ).join('') +
        row(listeners, '0100007F:1F90', '0A', 7),
    )
    const server = listening(8_080)
    const queue = new AcceptQueue(() => server, open)
    expect(queue.length()).toBe(7)
    listeners = 80
    expect(queue.length()).toBe(7)
    listeners = 3
    expect(queue.length()).toBe(7)
  })

  it('M49: is not searched at every turn for a socket that is not among the first', () => {
    const text = HEAD + Array.from({ length: 10_000 }, (_, i) => row(i, '0100007F:0016', '0A', 0)).join('')
    const { count, open } = kernel(() => text)
    const queue = new AcceptQueue(() => server, open)
    const server = listening(8_080)
    for (let i = 0; i < 1_000; i++) expect(queue.length()).toBeUndefined()
    expect(count.bytes).toBeLessThanOrEqual(16_384)
  })

  it('M42: is not that of another address, and unknown when other processes share it', () => {
    const other = kernel(() => HEAD + row(0, '0200007F:1F90', '0A', 99) + row(1, '0100007F:1F90', '0A', 1))
    expect(new AcceptQueue(() => listening(8_080), other.open).length()).toBe(1)
    const twice = kernel(() => HEAD + row(0, '0100007F:1F90', '0A', 99) + row(1, '0100007F:1F90', '0A', 1))
    expect(new AcceptQueue(() => listening(8_080), twice.open).length()).toBeUndefined()
    const capped = listening(8_080, '127.0.0.1', { maxConnections: 5 })
    expect(new AcceptQueue(() => capped, other.open).length()).toBeUndefined()
  })
})
