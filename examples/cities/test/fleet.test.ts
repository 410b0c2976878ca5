import { type App, freePort, spawnApp } from '@spillway/testkit'
import { Agent, request } from 'undici'
import { afterEach, describe, expect, it } from 'vitest'

const FLEET = new URL('./fixtures/fleet.mjs', import.meta.url)

interface Report {
  readonly workers: readonly number[]
  readonly store: { readonly keys: number; readonly calls: number; readonly late: number }
}

const apps: App[] = []
afterEach(() => Promise.all(apps.splice(0).map((app) => app[Symbol.asyncDispose]())))

/** `count` requests of one client at once, each over a connection of its own, so that every worker gets some. */
async function burst(port: number, client: string, count: number) {
  const dispatcher = new Agent({ pipelining: 0, connections: count })
  const answers = await Promise.all(
    Array.from({ length: count }, async () => {
      const { statusCode, body } = await request(`http://127.0.0.1:${port}/`, {
        dispatcher,
        headers: { 'x-client': client },
      })
      return { status: statusCode, text: await body.text() }
    }),
  )
  await dispatcher.close()
  const admitted = answers.filter(({ status }) => status === 200)
  const others = answers.filter(({ status }) => status !== 200).map(({ status }) => status)
  return { admitted: admitted.length, workers: new Set(admitted.map(({ text }) => text)), others }
}

describe('a limit over the workers of a supervisor', () => {
  it('is one limit, and outlives a reload and a crash', async () => {
    const port = await freePort()
    const app = spawnApp(FLEET, { ipc: true, env: { PORT: String(port) } })
    apps.push(app)
    await app.waitForLine(/^started$/, { timeout: 60_000 })
    const tell = async (message: string) => {
      const since = app.messages.length
      app.send(message)
      const isReport = (one: unknown): one is Report => (one as { done?: string }).done === message
      return app.waitForMessage(isReport, { since, timeout: 60_000 })
    }
    const before = await tell('report')
    expect(before.workers).toHaveLength(3)

    const first = await burst(port, 'a', 60)
    expect(first.admitted).toBe(60)
    expect(first.workers.size).toBeGreaterThan(1)

    const reloaded = await tell('reload')
    expect(reloaded.workers.filter((pid) => before.workers.includes(pid))).toEqual([])
    expect((await burst(port, 'a', 30)).admitted).toBe(30)

    const crashed = await tell('crash')
    expect(crashed.workers.filter((pid) => reloaded.workers.includes(pid))).toHaveLength(2)
    const last = await burst(port, 'a', 30)
    expect(last.admitted).toBe(10)
    expect(new Set(last.others)).toEqual(new Set([429]))
    expect((await burst(port, 'b', 5)).admitted).toBe(5)
    expect((await tell('report')).store).toMatchObject({ keys: 2, late: 0 })
  })
})
