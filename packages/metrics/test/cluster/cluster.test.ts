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
  const app = spawnApp(new URL('../fixtures/cluster.mjs', import.meta.url), {
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
  /** Resolves when so many more reports of the worker have come to the primary: the last of them began meanwhile. */
  const reports = async (worker: number, count: number) => {
    const sofar = () =>
      app.messages.filter((message) => {
        const { type, worker: id } = message as { type: string; worker: number }
        return type === 'report' && id === worker
      }).length
    const before = sofar()
    await eventually(() => sofar() >= before + count)
  }
  const all = await Promise.all(Array.from({ length: workers }, (_, i) => listening(i + 1)))
  return { app, listening, exit, reports, all }
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

  it('T10 a worker that is killed, and was never scraped: what it has reported stays in the sum', async () => {
    const { all, exit, reports } = await start(2)
    const [first, second] = all as [Listening, Listening]
    await hit(first.port, 5)
    await reports(first.worker, 2)
    process.kill(first.pid, 'SIGKILL')
    await exit(first.worker)
    expect(counted(await text(second.port))).toBe(5)
  })

  it('T10 a worker that is killed: what it has reported since the last scrape stays in the sum', async () => {
    const { all, exit, reports } = await start(2)
    const [first, second] = all as [Listening, Listening]
    await hit(first.port, 5)
    await text(first.port, '/new-route')
    expect(counted(await text(second.port))).toBe(5)
    await hit(first.port, 3)
    await text(first.port, '/newer-route')
    await reports(first.worker, 2)
    process.kill(first.pid, 'SIGKILL')
    await exit(first.worker)
    const body = await text(second.port)
    expect(counted(body)).toBe(8)
    for (const route of ['/new-route', '/newer-route']) {
      const series = `http_request_duration_seconds_bucket{le="+Inf",method="GET",route="${route}",status="200"}`
      expect(body).toContain(`${series} 1\n`)
    }
  })

  it('T10 scrapes while workers come and go: no counter ever falls, and nothing that was reported is lost', async () => {
    const { app, all, listening, exit, reports } = await start(3)
    let [oldest, second, third] = all as [Listening, Listening, Listening]
    let last = 0
    const scrape = async (port: number) => {
      const now = counted(await text(port))
      expect(now).toBeGreaterThanOrEqual(last)
      last = now
    }
    for (let round = 0; round < 4; round++) {
      for (const { port } of [oldest, second, third]) await hit(port, 3)
      await reports(oldest.worker, 2)
      const scrapes = Array.from({ length: 6 }, (_, i) => scrape(i % 2 ? second.port : third.scrape))
      process.kill(oldest.pid, 'SIGKILL')
      app.send({ type: 'fork' })
      const [next] = await Promise.all([listening(4 + round), exit(oldest.worker), ...scrapes])
      ;[oldest, second, third] = [second, third, next]
    }
    await scrape(second.port)
    expect(last).toBe(4 * 9)
  })

  it('T5 several Metrics in one worker: its memory and CPU are told once, and Node warns of nothing', async () => {
    const { app, all, listening } = await start(1)
    app.send({ type: 'several' })
    const { port } = await listening(2)
    const { names } = await app.waitForMessage((message): message is { names: string[] } => {
      return (message as { type: string }).type === 'warnings'
    })
    expect(names).toEqual([])
    const body = await text(port)
    expect(body.match(/^spillway_process_resident_memory_bytes\{.*worker="2"/gm)).toHaveLength(1)
    const heap = Number(/^nodejs_heap_size_total_bytes (\S+)$/m.exec(body)?.[1])
    const own = Number(await text(port, '/heap')) + Number(await text(all[0]!.port, '/heap'))
    expect(heap).toBeLessThan(2 * own)
    expect(await text(port)).toContain('part="11"')
  })

  it('S8 a metric of the primary itself that cannot be merged harms no scrape', async () => {
    const { app, all } = await start(1)
    await hit(all[0]!.port, 2)
    app.send({ type: 'nonsense' })
    for (let i = 0; i < 3; i++) expect(counted(await text(all[0]!.port))).toBe(2)
    expect(counted(await text(all[0]!.scrape))).toBe(2)
  })

  it('survives many scrapes at once', async () => {
    const { all } = await start(2)
    await hit(all[0]!.port, 1)
    const bodies = await Promise.all(Array.from({ length: 40 }, (_, i) => text(all[i % 2]!.port)))
    expect(new Set(bodies.map(counted))).toEqual(new Set([1]))
  })

  it('T1 a primary that is paused for 3 s: 503, never a part for the whole, so that no counter ever falls', async () => {
    const { app, all } = await start(2)
    const [first, second] = all as [Listening, Listening]
    await hit(first.port, 4)
    await hit(second.port, 3)
    expect(counted(await text(first.port))).toBe(7)
    process.kill(app.pid, 'SIGSTOP')
    const resumed = new Promise<void>((resolve) => {
      setTimeout(() => {
        process.kill(app.pid, 'SIGCONT')
        resolve()
      }, 3_000)
    })
    // The scraper waits 10 s; these begin while the primary is paused, on both workers.
    const paused = Array.from({ length: 6 }, async (_, i) => {
      const url = `http://127.0.0.1:${all[i % 2]!.port}/metrics`
      const { statusCode, headers, body } = await request(url, { headersTimeout: 10_000 })
      return { statusCode, retryAfter: headers['retry-after'], body: await body.text() }
    })
    for (const { statusCode, retryAfter, body } of await Promise.all(paused)) {
      expect(statusCode).toBe(503)
      expect(retryAfter).toBe('1')
      expect(body).toBe('')
    }
    await hit(first.port, 1)
    await resumed
    let last = 7
    for (let i = 0; i < 20; i++) {
      const { statusCode, body } = await request(`http://127.0.0.1:${all[i % 2]!.port}/metrics`)
      const now = counted(await body.text())
      if (statusCode === 503) continue
      expect(now).toBeGreaterThanOrEqual(last)
      last = now
    }
    expect(last).toBe(8)
  })

  it('T1 a worker whose primary is paused since its start does not answer for itself alone', async () => {
    const { app, all, listening } = await start(1)
    await hit(all[0]!.port, 5)
    expect(counted(await text(all[0]!.port))).toBe(5)
    app.send({ type: 'fork' })
    const { port } = await listening(2)
    process.kill(app.pid, 'SIGSTOP')
    const { statusCode, body } = await request(`http://127.0.0.1:${port}/metrics`)
    process.kill(app.pid, 'SIGCONT')
    await body.dump()
    expect(statusCode).toBe(503)
  })

  it('T1 a worker that is cut off from its primary and lives on: its counters stay in the sum', async () => {
    const { app, all } = await start(2)
    const [first, second] = all as [Listening, Listening]
    await hit(first.port, 4)
    await hit(second.port, 3)
    expect(counted(await text(second.port))).toBe(7)
    // An open request keeps it alive.
    const held = request(`http://127.0.0.1:${first.port}/hang`).catch(() => {})
    app.send({ type: 'disconnect', worker: first.worker })
    for (let i = 0; i < 10; i++) expect(counted(await text(second.port))).toBe(7)
    process.kill(first.pid, 'SIGKILL')
    await held
    expect(counted(await text(second.port))).toBe(7)
  })

  it('T1 where the primary has stopped collecting, each worker answers for itself again', async () => {
    const { app, all } = await start(2)
    await hit(all[0]!.port, 2)
    expect(counted(await text(all[1]!.port))).toBe(2)
    app.send({ type: 'end' })
    await eventually(async () => Number.isNaN(counted(await text(all[1]!.port))))
    expect(counted(await text(all[0]!.port))).toBe(2)
  })

  it("T3 a stats() that throws: the cluster's counter stands, and goes on when it answers again", async () => {
    const { all } = await start(2)
    const [first, second] = all as [Listening, Listening]
    const sold = async () =>
      Number(/spillway_till_sold_total\{name="default"\} (\d+)/.exec(await text(second.port))?.[1])
    for (let i = 0; i < 5; i++) await text(first.port, '/sell')
    await text(second.port, '/sell')
    expect(await sold()).toBe(6)
    await text(first.port, '/fail')
    expect(await sold()).toBe(6)
    await text(first.port, '/sell')
    expect(await sold()).toBe(6)
    const body = await text(second.port)
    expect(body).toMatch(/spillway_source_errors_total\{kind="till",name="default"\} [2-9]/)
    await text(first.port, '/fail')
    expect(await sold()).toBe(7)
  })

  it('T9 a worker without metrics is not waited for', async () => {
    const { app, all, listening } = await start(1)
    app.send({ type: 'silent' })
    await listening(2)
    await hit(all[0]!.port, 1)
    const data = JSON.parse(await text(all[0]!.port, '/dashboard/data')) as object
    expect(data).toMatchObject({ workers: 1, missing: 0 })
  })

  it('S8 lookalike messages of a worker harm no later scrape', async () => {
    const { app, all, exit } = await start(2)
    const [first, second] = all as [Listening, Listening]
    await hit(first.port, 2)
    expect(counted(await text(second.port))).toBe(2)
    app.send({ type: 'tell', worker: first.worker })
    for (let i = 0; i < 3; i++) {
      await hit(second.port, 1)
      const body = await text(second.port)
      expect(counted(body)).toBe(3 + i)
      expect(body).toMatch(/^http_requests_started_total \d+$/m)
      expect(body).not.toMatch(/^x\b/m)
    }
    // Links that answer nothing are not waited for again.
    const data = JSON.parse(await text(second.port, '/dashboard/data')) as object
    expect(data).toMatchObject({ workers: 2, missing: 0 })
    // What it said last is not kept in place of what it had counted.
    await hit(first.port, 1)
    app.send({ type: 'tell', worker: first.worker })
    await eventually(
      () => app.messages.filter((message) => (message as Listening).type === ('told' as never)).length === 2,
    )
    process.kill(first.pid, 'SIGKILL')
    await exit(first.worker)
    const body = await text(second.port)
    expect(counted(body)).toBeGreaterThanOrEqual(5)
    expect(body).not.toMatch(/^x\b/m)
  })
})
