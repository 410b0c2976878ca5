import { existsSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { AcceptQueue } from '../../src/sampling/accept-queue.js'

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

describe('the queue of connections that nobody has accepted', () => {
  it.for(['127.0.0.1', '::'])('is as long as it is, on %s', async (host, context) => {
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

  it('follows the server that is asked, and is not known without one', async () => {
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
