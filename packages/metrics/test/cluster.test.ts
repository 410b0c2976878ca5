import { type App, eventually, spawnApp } from '@spillway/testkit'
import { request } from 'undici'
import { afterEach, describe, expect, it } from 'vitest'

interface Listening {
  readonly type: 'listening'
  readonly worker: number
  readonly pid: number
  readonly port: number
  readonly scrape: number
}

const apps: App[] = []
afterEach(() => Promise.all(apps.splice(0).map((app) => app[Symbol.asyncDispose]())))

async function start(workers: number, serving: 'yes' | 'no' = 'yes') {
  const app = spawnApp(new URL('./fixtures/cluster.mjs', import.meta.url), {
    args: [String(workers), serving],
    ipc: true,
  })
  apps.push(app)
  const listening = (worker: number) =>
    app.waitForMessage((message): message is Listening => {
      const { type, worker: id } = message as Listening
      return type === 'listening' && id === worker
    })
  const exit = (worker: number) =>
    app.waitForMessage((message): message is object => {
      const { type, worker: id } = message as { type: string; worker: number }
      return type === 'exit' && id === worker
    })
  const all = await Promise.all(Array.from({ length: workers }, (_, i) => listening(i + 1)))
  return { app, listening, exit, all }
}

const text = async (port: number, path = '/metrics') =>
  (await request(`http://127.0.0.1:${port}${path}`)).body.text()

const hit = async (port: number, times: number) => {
  for (let i = 0; i < times; i++) await text(port, '/shop')
}

const counted = (body: string) =>
  Number(
    /http_request_duration_seconds_count\{method="GET",route="\/shop",status="200"\} (\d+)/.exec(body)?.[1],
  )

describe('the metrics of a cluster', () => {
  it('answers for all workers, whichever is scraped, and at the primary too', async () => {
    const { all } = await start(3)
    for (const { port, worker } of all) await hit(port, worker)
    for (const port of [...all.map(({ port }) => port), all[0]!.scrape]) {
      const body = await text(port)
      expect(counted(body)).toBe(6)
      expect(body).toContain('spillway_shop_stock{name="default"} 6')
      expect(body).toContain('spillway_shop_busy{name="default"} 0.5')
      expect(body.match(/spillway_process_uptime_seconds\{/g)).toHaveLength(3)
    }
  })

  it('never lets a counter fall when a worker is killed and replaced', async () => {
    const { app, all, exit, listening } = await start(2)
    const [first, second] = all as [Listening, Listening]
    await hit(first.port, 4)
    await hit(second.port, 3)
    expect(counted(await text(second.port))).toBe(7)
    process.kill(first.pid, 'SIGKILL')
    await exit(first.worker)
    expect(counted(await text(second.port))).toBe(7)
    app.send({ type: 'fork' })
    const third = await listening(3)
    await hit(third.port, 2)
    const body = await text(second.port)
    expect(counted(body)).toBe(9)
    expect(body.match(/spillway_process_uptime_seconds\{/g)).toHaveLength(2)
  })

  it('keeps what a worker counted after the last scrape when it closes in order', async () => {
    const { app, all, exit } = await start(2)
    const [first, second] = all as [Listening, Listening]
    await hit(first.port, 5)
    app.send({ type: 'close', worker: first.worker })
    await exit(first.worker)
    expect(counted(await text(second.port))).toBe(5)
  })

  it('answers in time, with the last known counters, when a worker hangs', async () => {
    const { all } = await start(2)
    const [first, second] = all as [Listening, Listening]
    await hit(first.port, 2)
    expect(counted(await text(second.port))).toBe(2)
    process.kill(first.pid, 'SIGSTOP')
    const body = await text(second.port)
    expect(counted(body)).toBe(2)
    expect(body.match(/spillway_process_uptime_seconds\{/g)).toHaveLength(1)
    process.kill(first.pid, 'SIGCONT')
    await eventually(
      async () => (await text(second.port)).match(/spillway_process_uptime_seconds\{/g)?.length === 2,
    )
  })

  it('answers for itself alone, without waiting, where no primary collects', async () => {
    const { all } = await start(2, 'no')
    await hit(all[0]!.port, 2)
    expect(counted(await text(all[0]!.port))).toBe(2)
    expect(counted(await text(all[1]!.port))).toBeNaN()
  })

  it('gives the dashboard the merged figures and nothing else', async () => {
    const { all } = await start(2)
    const data = JSON.parse(await text(all[0]!.port, '/dashboard/data')) as object
    expect(Object.keys(data).sort()).toEqual(['at', 'missing', 'series', 'workers'])
    expect(data).toMatchObject({ workers: 2, missing: 0 })
  })

  it('survives many scrapes at once', async () => {
    const { all } = await start(2)
    await hit(all[0]!.port, 1)
    const bodies = await Promise.all(Array.from({ length: 40 }, (_, i) => text(all[i % 2]!.port)))
    expect(new Set(bodies.map(counted))).toEqual(new Set([1]))
  })
})
