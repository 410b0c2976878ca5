import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, isAlive, processGroup } from '@spillway/testkit'
import { describe, expect, it, onTestFinished } from 'vitest'
import { get, PATIENCE, patiently, primary, running, settled } from '../primary.js'

const FAST = { heartbeat: { interval: 100, deadline: 3_000 } }

async function portIsFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen({ port, host: '127.0.0.1' }, () => probe.close(() => resolve(true)))
  })
}

describe('a worker', () => {
  it('K14 that hangs is found with the place where it hangs, killed and replaced', async () => {
    const supervisor = await running(FAST)
    const url = await supervisor.url()
    await get(`${url}/hang`)
    const hang = await supervisor.until('hang')
    expect(hang.stack).toMatch(/at hangHere \(.*app\.mjs:\d+:\d+\)/)
    expect(await supervisor.until('exit')).toMatchObject({ pid: hang.pid, signal: 'SIGKILL', cause: 'hang' })
    await settled(supervisor, 2)
    expect(await get(url)).toBe('ok')
    expect((await supervisor.call('stats')).restarts).toEqual({ hang: 1 })
  })

  it('K14 that hangs keeps no client waiting for ever: others get the connections it had not taken yet', async () => {
    const supervisor = await running({ heartbeat: { interval: 100, deadline: 1_500 } })
    const url = await supervisor.url()
    await get(`${url}/hang`)
    // Each worker gets one, also the one that does not take it.
    expect(await Promise.all([1, 2, 3, 4].map(() => get(url)))).toEqual(['ok', 'ok', 'ok', 'ok'])
    expect(await supervisor.until('exit')).toMatchObject({ cause: 'hang' })
  })

  it('K26 that is killed keeps no client waiting either', async () => {
    const supervisor = await running({ heartbeat: { interval: 100, deadline: 60_000 } })
    const url = await supervisor.url()
    const pid = Number(await get(`${url}/pid`))
    process.kill(pid, 'SIGSTOP')
    let answered = 0
    const answers = [1, 2, 3, 4].map(() => get(url).finally(() => answered++))
    await eventually(() => answered === 3, { timeout: PATIENCE })
    process.kill(pid, 'SIGKILL')
    expect(await Promise.all(answers)).toEqual(['ok', 'ok', 'ok', 'ok'])
    await settled(supervisor, 2)
  })

  it('K15 that is merely slow is left alone', async () => {
    const supervisor = await running({ heartbeat: { interval: 100, deadline: 8_000 } })
    const url = await supervisor.url()
    await get(`${url}/hang?wait=2000`)
    await settled(supervisor, 1)
    await settled(supervisor, 2)
    expect(supervisor.of('hang')).toEqual([])
    expect(supervisor.of('exit')).toEqual([])
  })

  it('K16 that slept with the whole machine is left alone', async () => {
    const supervisor = await running(FAST)
    const group = processGroup(supervisor.app.pid)
    expect(group.length).toBe(3)
    for (const pid of group) process.kill(pid, 'SIGSTOP')
    await new Promise((resolve) => setTimeout(resolve, 4_000))
    for (const pid of group.reverse()) process.kill(pid, 'SIGCONT')
    await settled(supervisor, 2)
    expect(supervisor.of('hang')).toEqual([])
    expect(supervisor.of('exit')).toEqual([])
  })

  it('K25 that exits with 0 of its own accord is replaced; a server is not expected to end', async () => {
    const supervisor = await running()
    await get(`${await supervisor.url()}/exit?code=0`)
    expect(await supervisor.until('exit')).toMatchObject({ code: 0, cause: 'exit' })
    await settled(supervisor, 2)
  })

  it.each([
    ['/throw', 'thrown on purpose'],
    ['/reject', 'rejected on purpose'],
  ])(
    'K29 that meets an uncaught error (%s) logs it once, finishes what it has, exits with 1, is replaced',
    async (path, text) => {
      const supervisor = await running({ workers: 1 })
      const url = await supervisor.url()
      const slow = get(`${url}/slow?wait=800`)
      await patiently(async () => (await supervisor.call('stats')).workers.length === 1)
      await get(`${url}${path}`)
      expect(await slow).toBe('slow')
      expect(await supervisor.until('exit')).toMatchObject({ code: 1, cause: 'crash', error: text })
      await settled(supervisor, 1)
      const logged = supervisor.app.lines.filter(({ text: line }) => line.includes(`Error: ${text}`))
      expect(logged).toHaveLength(1)
      expect(supervisor.app.output('stderr')).toMatch(/app\.mjs:\d+/)
    },
  )

  it('K2 that crashes again and again is restarted ever more slowly, and the supervisor says that it is degraded', async () => {
    const supervisor = primary(
      { workers: 2, restarts: { max: 4, within: '1m', backoff: 50, maxBackoff: '30s' } },
      { env: { FAIL_AFTER: '300' } },
    )
    await supervisor.until('degraded')
    expect((await supervisor.call('stats')).degraded).toBe(true)
    // Two of the start, four restarts allowed, and those whose time had come before.
    expect(supervisor.of('fork').length).toBeLessThanOrEqual(8)
  })

  it('K18 whose channel to the primary closes drains and leaves without an error, and is replaced', async () => {
    const supervisor = await running({ workers: 1 })
    const url = await supervisor.url()
    await get(`${url}/disconnect`)
    const exit = await supervisor.until('exit')
    expect(exit).toMatchObject({ code: 0, signal: null })
    await settled(supervisor, 1)
    expect(supervisor.app.output('stderr')).not.toMatch(/EPIPE|ERR_IPC|Unhandled/)
  })

  it('asks for its replacement, which is up first', async () => {
    const supervisor = await running({ workers: 1 })
    const url = await supervisor.url()
    expect(await get(`${url}/replace`)).toBe('true')
    await supervisor.until('exit')
    const order = supervisor.events.map(({ type }) => type)
    expect(order.lastIndexOf('ready')).toBeLessThan(order.indexOf('exit'))
    expect((await supervisor.call('stats')).restarts).toEqual({ 'asked for': 1 })
  })

  it('K23 K24 over its memory mark is replaced, one at a time, never all at once', async () => {
    const supervisor = await running({ heartbeat: { interval: 100, deadline: 30_000 }, maxRss: '180mb' })
    const url = await supervisor.url()
    const workers = async (): Promise<any[]> => (await supervisor.call('stats')).workers
    const first = (await workers()).map(({ pid }) => pid)
    // What a worker reports first, once it is ready, is what it needs: the leak must come after that.
    const reports = async () => (await workers()).map(({ load }) => JSON.stringify(load))
    const before = await reports()
    await patiently(async () =>
      (await reports()).every((report, i) => report !== undefined && report !== before[i]),
    )
    const leaked = new Set<number>()
    await patiently(async () => {
      leaked.add(Number(await get(`${url}/leak?mb=200`)))
      return first.every((pid: number) => leaked.has(pid))
    })
    // A leaking request may have met a replacement as well: then there are more than two.
    await patiently(async () =>
      first.every((left: number) => supervisor.of('exit').some(({ pid }) => pid === left)),
    )
    expect((await supervisor.call('stats')).restarts.memory).toBeGreaterThanOrEqual(2)
    expect(supervisor.of('exit').every(({ code, lost }) => code === 0 && lost === 0)).toBe(true)
    let ready = 0
    let least = 2
    for (const { type } of supervisor.events.slice(
      supervisor.events.findIndex(({ type }) => type === 'started'),
    )) {
      if (type === 'ready') ready++
      if (type === 'exit') ready--
      least = Math.min(least, 2 + ready)
    }
    expect(least).toBe(2)
  })
})

describe('the primary', () => {
  it('K11 K12 finishes everything when the whole group gets SIGINT, forks nothing, exits with 0', async () => {
    const supervisor = await running()
    const url = await supervisor.url()
    const inFlight = Array.from({ length: 16 }, () => get(`${url}/slow?wait=1500`))
    await patiently(async () => {
      const { workers } = await supervisor.call('stats')
      return workers.reduce((sum: number, { load }: any) => sum + (load?.active ?? 0), 0) === 16
    })
    process.kill(-supervisor.app.pid, 'SIGINT')
    expect(await Promise.all(inFlight)).toEqual(Array.from({ length: 16 }, () => 'slow'))
    expect(await supervisor.app.exited).toEqual({ code: 0, signal: null })
    expect(supervisor.of('fork')).toHaveLength(2)
    expect(supervisor.survivors()).toEqual([])
  })

  it('K11 K13 is forced by a second signal, and says so by its exit code', async () => {
    const supervisor = await running()
    const url = await supervisor.url()
    const cut = get(`${url}/slow?wait=60000`).catch((error: Error) => error)
    await patiently(async () => {
      const { workers } = await supervisor.call('stats')
      return workers.some(({ load }: any) => load?.active === 1)
    })
    supervisor.app.kill('SIGTERM')
    await patiently(async () => (await supervisor.call('stats')).phase === 'stopping')
    supervisor.app.kill('SIGTERM')
    expect(await supervisor.app.exited).toEqual({ code: 1, signal: null })
    expect(await cut).toBeInstanceOf(Error)
    expect(supervisor.survivors()).toEqual([])
  })

  it('K13 cuts off at the drain deadline, counts what was lost, and exits with 1', async () => {
    const supervisor = await running({ workers: 1, drain: { timeout: 500 } })
    const url = await supervisor.url()
    const cut = get(`${url}/slow?wait=60000`).catch((error: Error) => error)
    await patiently(async () => (await supervisor.call('stats')).workers[0]?.load?.active === 1)
    supervisor.app.kill('SIGTERM')
    expect(await supervisor.app.exited).toEqual({ code: 1, signal: null })
    expect(await cut).toBeInstanceOf(Error)
    expect(await supervisor.until('close')).toMatchObject({ forced: 1, lost: 1 })
  })

  it('K17 killed: its workers finish what they have and leave, a hung one too, and the port is free', async () => {
    const supervisor = await running({ heartbeat: { interval: 1_000, deadline: 60_000 } })
    const url = await supervisor.url()
    const { port } = await supervisor.until('listening')
    const hung = await get(`${url}/pid`)
    const slow = get(`${url}/slow?wait=1500`)
    await patiently(async () => {
      const { workers } = await supervisor.call('stats')
      return workers.some(({ load }: any) => load?.active === 1)
    })
    const busy = (await supervisor.call('stats')).workers.find(({ load }: any) => load?.active === 1).pid
    let victim = Number(hung)
    await patiently(async () => {
      victim = Number(await get(`${url}/pid`))
      return victim !== busy
    })
    await patiently(async () => (await get(`${url}/pid`)) !== String(victim))
    await get(`${url}/hang`)
    supervisor.app.kill('SIGKILL')
    expect(await slow).toBe('slow')
    await eventually(() => supervisor.survivors().length === 0, {
      timeout: 15_000,
      what: 'the end of all workers',
    })
    expect(isAlive(victim)).toBe(false)
    expect(await portIsFree(port)).toBe(true)
  })

  it('K19 says one clear line when the port is taken, and forks nothing', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, () => resolve()))
    onTestFinished(() => void taken.close())
    const { port } = taken.address() as { port: number }
    const supervisor = primary({ port })
    expect(await supervisor.app.exited).toEqual({ code: 1, signal: null })
    expect(supervisor.app.output('stderr')).toBe(`ERR_CLUSTER_PORT: Port ${port} is already in use`)
    expect(supervisor.of('fork')).toEqual([])
  })

  it('K21 takes over the unix socket of a crash, and does not steal a living one', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'spillway-socket-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const env = { SOCKET_PATH: join(folder, 'app.sock') }
    const crashed = await running({ workers: 1 }, { env })
    for (const pid of processGroup(crashed.app.pid)) process.kill(pid, 'SIGKILL')
    await crashed.app.exited
    const second = await running({ workers: 2 }, { env })
    expect(second.of('listening')[0]?.address).toBe(env.SOCKET_PATH)
    const thief = primary({ workers: 1 }, { env })
    expect(await thief.app.exited).toEqual({ code: 1, signal: null })
    expect(thief.app.output('stderr')).toMatch(/EADDRINUSE/)
    expect((await second.call('stats')).ready).toBe(2)
  })

  it('K30 survives its own listeners', async () => {
    const supervisor = await running({}, { env: { BREAK_LISTENERS: '1' } })
    expect(await supervisor.call('reload')).toMatchObject({ ok: true })
    expect(supervisor.app.output('stderr')).toMatch(/A listener of "ready" failed/)
  })
})
