import { connect, type Socket } from 'node:net'
import { eventually, type LoadOptions, load } from '@spillway/testkit'
import { describe, expect, it, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { get, patiently, running, settled } from '../primary.js'
import { reloads } from '../reloads.js'

/** Loads that run until `stop()`, which gives what failed and how many connections each has opened. */
function under(loads: Readonly<Record<string, LoadOptions>>) {
  const stopping = new AbortController()
  const results = Object.entries(loads).map(async ([name, options]) => {
    const { failures, requests, statuses, connections } = await load({
      durationMs: 120_000,
      ...options,
      signal: stopping.signal,
    })
    return [name, { failures, requests, statuses, connections }] as const
  })
  onTestFinished(() => stopping.abort())
  return async () => {
    stopping.abort()
    return Object.fromEntries(await Promise.all(results))
  }
}

/** A client with one connection, which it does not open again. */
class Client {
  readonly socket: Socket
  #text = ''

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1')
    this.socket.setEncoding('utf8').on('data', (text: string) => {
      this.#text += text
    })
  }

  ask(): Promise<void> {
    this.#text = ''
    this.socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    return new Promise((resolve, reject) => {
      const look = () => {
        if (!this.#text.endsWith('ok')) return
        this.socket.off('data', look).off('close', reject)
        resolve()
      }
      this.socket.on('data', look).once('close', reject).on('error', reject)
    })
  }
}

describe('reload under load', () => {
  it('K3 K4 K5 K6 loses no request, and keep-alive clients keep their connections', async () => {
    const supervisor = await running()
    const url = await supervisor.url()
    const stop = under({
      fresh: { url, keepAlive: false, connections: 2, thinkTimeMs: 5 },
      busy: { url, connections: 2, thinkTimeMs: 1 },
      idle: { url, connections: 10, thinkTimeMs: 700 },
      slow: { url: `${url}/slow?wait=400`, connections: 3 },
      stream: { url: `${url}/stream?wait=500`, connections: 2 },
    })
    for (let i = 0; i < 3; i++) {
      expect(await supervisor.call('reload')).toMatchObject({ ok: true, replaced: 2, forced: 0 })
    }
    const results = await stop()
    for (const [name, { failures, requests, statuses }] of Object.entries(results)) {
      expect({ name, failures }).toEqual({ name, failures: [] })
      expect(statuses).toEqual({ 200: requests })
    }
    // They were moved to the new workers, not closed and opened again.
    expect(results.idle?.connections).toBe(10)
    const stats = await supervisor.call('stats')
    expect(stats.drains).toEqual({ clean: 6, forced: 0, lost: 0 })
    expect(stats.generation).toBe(4)
  })

  it('K3 K4 K5 K6 loses nothing in many reloads in a row, and the supervisor keeps nothing of them', async () => {
    expect(await reloads('10')).toMatchObject({
      reloads: 10,
      forks: 22,
      failed: 0,
      failures: [],
      problems: [],
    })
  })

  it('K4 moves a thousand idle connections: each answers afterwards as if nothing had been', async () => {
    const supervisor = await running()
    const { port } = await supervisor.until('listening')
    const clients: Client[] = []
    // Not all at once: the kernel's queue of connections to be accepted is short.
    for (let i = 0; i < 10; i++) {
      const batch = Array.from({ length: 100 }, () => new Client(port))
      await Promise.all(batch.map((client) => client.ask()))
      clients.push(...batch)
    }
    onTestFinished(() => {
      for (const { socket } of clients) socket.destroy()
    })
    expect(await supervisor.call('reload')).toMatchObject({ ok: true, forced: 0 })
    await Promise.all(clients.map((client) => client.ask()))
    expect(clients.filter(({ socket }) => socket.destroyed || socket.readableEnded)).toEqual([])
    expect((await supervisor.call('stats')).drains).toEqual({ clean: 2, forced: 0, lost: 0 })
  })

  it('K6 says 1001 to WebSockets, and answers what they still send', async () => {
    const supervisor = await running()
    const url = (await supervisor.url()).replace('http', 'ws')
    const socket = new WebSocket(`${url}/ws`)
    const messages: string[] = []
    socket.on('message', (data) => messages.push(String(data)))
    const closed = new Promise<number>((resolve) => socket.once('close', resolve))
    await eventually(() => messages.length === 1)
    socket.send('hello')
    await eventually(() => messages.includes('hello'))
    expect(await supervisor.call('reload')).toMatchObject({ ok: true, forced: 0 })
    expect(await closed).toBe(1001)
  })

  it('K8 merges reloads that wait, and serves one after the other', async () => {
    const supervisor = await running()
    const results = await Promise.all([1, 2, 3, 4].map(() => supervisor.call('reload')))
    expect(results.map(({ ok }) => ok)).toEqual([true, true, true, true])
    expect(results.map(({ generation }) => generation)).toEqual([2, 3, 3, 3])
    expect((await supervisor.call('stats')).reloads).toEqual({ ok: 2, refused: 0 })
  })

  it('K10 scales during a reload to the new number of the new version', async () => {
    const supervisor = await running()
    const [reload] = await Promise.all([supervisor.call('reload'), supervisor.call('scale', 3)])
    expect(reload.ok).toBe(true)
    await patiently(async () => {
      const { workers } = await supervisor.call('stats')
      expect(workers.map(({ generation, state }: any) => [generation, state])).toEqual(
        Array.from({ length: 3 }, () => [2, 'ready']),
      )
    })
  })

  it('K9 goes on when an old worker crashes meanwhile', async () => {
    const supervisor = await running({ workers: 2 })
    const url = await supervisor.url()
    const pid = Number(await get(`${url}/pid`))
    const reload = supervisor.call('reload')
    process.kill(pid, 'SIGKILL')
    expect(await reload).toMatchObject({ ok: true })
    await settled(supervisor, 2)
    const { workers } = await supervisor.call('stats')
    expect(workers.map(({ generation }: any) => generation)).toEqual([2, 2])
  })

  it('K7 K28 refuses a version that cannot start, and the old one serves on; then takes a good one', async () => {
    const supervisor = await running()
    const url = await supervisor.url()
    const before = (await supervisor.call('stats')).workers.map(({ pid }: any) => pid)
    const stop = under({ fresh: { url, keepAlive: false, connections: 2, thinkTimeMs: 5 } })
    await supervisor.call('env', { FAIL_AT_BOOT: 'bad deploy' })
    const refused = await supervisor.call('reload')
    expect(refused).toMatchObject({ ok: false, replaced: 0 })
    expect(refused.error).toMatch(/bad deploy/)
    const { workers, ready } = await supervisor.call('stats')
    expect(workers.map(({ pid }: any) => pid)).toEqual(before)
    expect(ready).toBe(2)
    await supervisor.call('env', { FAIL_AT_BOOT: '', COLOR: 'green' })
    expect(await supervisor.call('reload')).toMatchObject({ ok: true, replaced: 2 })
    expect(await get(`${url}/env?name=COLOR`)).toBe('green')
    expect((await stop()).fresh?.failures).toEqual([])
  })
})
