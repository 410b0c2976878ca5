import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { availableCpus } from '@spillway/kit'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type ConnectionEvent, type ConnectionState, nextState } from '../src/connections/connection-state.js'
import { FleetCounters } from '../src/fleet/fleet-counters.js'
import { RestartQueue } from '../src/fleet/restart-queue.js'
import { chosen } from '../src/handover/sticky-listener.js'
import { fromWorker, type Load } from '../src/ipc/messages.js'
import { LogOutput } from '../src/logs/log-output.js'
import { Autoscaler } from '../src/monitoring/autoscaler.js'
import { Liveness } from '../src/monitoring/liveness.js'
import { recycleReason } from '../src/monitoring/recycling.js'
import { DebugPorts } from '../src/spawn/debug-ports.js'
import type { WorkerProcess } from '../src/spawn/worker-process.js'

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'spillway-cluster-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** As much of a worker as the rules look at. */
function worker(fields: Partial<WorkerProcess>): WorkerProcess {
  const bare = { state: 'ready', heardAt: 0, startedAt: 0, overLimit: 0, spread: 0, slot: 1, id: 1 }
  return Object.assign(Object.create(null), bare, fields) as WorkerProcess
}

const LOAD: Load = {
  utilization: 0.1,
  lag: 1,
  cpu: 0.1,
  rss: 100,
  heapUsed: 50,
  requests: 0,
  active: 0,
  connections: 0,
}

describe('Liveness', () => {
  const options = { interval: 1_000, deadline: 10_000 }

  it('K14 doubts a late worker and gives up a silent one', () => {
    const liveness = new Liveness(options, 0)
    const silent = worker({ heardAt: 0 })
    const verdicts = []
    for (let now = liveness.period; now <= 10_500; now += liveness.period) {
      const { late, hung } = liveness.check([silent], now)
      verdicts.push(hung.length > 0 ? 'hung' : late.length > 0 ? 'late' : 'fine')
    }
    expect([...new Set(verdicts)]).toEqual(['fine', 'late', 'hung'])
  })

  it('K16 gives everybody the time back in which it did not listen itself', () => {
    const liveness = new Liveness(options, 0)
    const asleep = worker({ heardAt: 0 })
    const { late, hung } = liveness.check([asleep], 3_600_000)
    expect([late, hung]).toEqual([[], []])
    expect(liveness.check([asleep], 3_600_000 + liveness.period).hung).toEqual([])
  })

  it('judges only those that are ready', () => {
    const liveness = new Liveness(options, 0)
    const others = (['starting', 'draining'] as const).map((state) => worker({ state }))
    let hung = 0
    for (let now = 0; now < 60_000; now += liveness.period) hung += liveness.check(others, now).hung.length
    expect(hung).toBe(0)
  })
})

describe('recycling', () => {
  const marks = { maxRss: 150, maxHeap: false, maxAge: false, maxRequests: false } as const
  const after = (
    subject: WorkerProcess,
    loads: number[],
    given: Parameters<typeof recycleReason>[2] = marks,
  ) => loads.map((rss) => recycleReason(subject, { ...LOAD, rss }, given, 0))

  it('K23 counts a leak, not a peak', () => {
    expect(after(worker({}), [100, 160, 100, 160, 160, 160])).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
      'memory',
    ])
  })

  it('K23 leaves a worker alone that needs so much from the start: a fresh one would be no better', () => {
    expect(after(worker({}), [160, 170, 180, 185, 190]).every((reason) => reason === undefined)).toBe(true)
    expect(after(worker({}), [160, 200, 200, 200]).at(-1)).toBe('memory')
  })

  it('lets workers of one age go one after the other', () => {
    const rules = { ...marks, maxRss: false, maxAge: 1_000 } as const
    expect(recycleReason(worker({ spread: 0 }), LOAD, rules, 999)).toBeUndefined()
    expect(recycleReason(worker({ spread: 1 }), LOAD, rules, 900)).toBe('age')
    const requests = { ...rules, maxAge: false, maxRequests: 100 } as const
    expect(recycleReason(worker({}), { ...LOAD, requests: 100 }, requests, 0)).toBe('requests')
  })
})

describe('Autoscaler', () => {
  const rules = { min: 1, max: 4, up: 0.7, down: 0.4, upAfter: 5_000, downAfter: 60_000 }

  it('adds one worker after a while above, not after a moment', () => {
    const autoscaler = new Autoscaler(rules)
    expect(autoscaler.decide([0.9], 1, 0)).toBe(1)
    expect(autoscaler.decide([0.1], 1, 4_000)).toBe(1)
    expect(autoscaler.decide([0.9], 1, 5_000)).toBe(1)
    expect(autoscaler.decide([0.9], 1, 10_000)).toBe(2)
    expect(autoscaler.decide([0.9, 0.9], 2, 10_001)).toBe(2)
  })

  it('removes one only after a long time, and when the others can carry it', () => {
    const autoscaler = new Autoscaler(rules)
    expect(autoscaler.decide([0.3, 0.3], 2, 0)).toBe(2)
    expect(autoscaler.decide([0.3, 0.3], 2, 60_000)).toBe(1)
    const tight = new Autoscaler({ ...rules, up: 0.5 })
    expect(tight.decide([0.35, 0.35], 2, 0)).toBe(2)
    expect(tight.decide([0.35, 0.35], 2, 600_000)).toBe(2)
  })

  it('stays between its bounds', () => {
    const autoscaler = new Autoscaler(rules)
    expect(autoscaler.decide([0], 9, 0)).toBe(4)
    expect(new Autoscaler({ ...rules, min: 2 }).decide([], 1, 0)).toBe(2)
    autoscaler.decide([1, 1, 1, 1], 4, 0)
    expect(autoscaler.decide([1, 1, 1, 1], 4, 60_000)).toBe(4)
  })
})

describe('RestartQueue', () => {
  it('holds places until their time, and forgets those that nobody needs any more', () => {
    const restartQueue = new RestartQueue()
    restartQueue.add({ slot: 2, streak: 3, at: 500 })
    restartQueue.add({ slot: 1, streak: 1, at: 100 })
    expect(restartQueue.held(0, 2)).toBe(2)
    expect(restartQueue.next(0)).toBe(100)
    expect(restartQueue.take(99)).toBeUndefined()
    expect(restartQueue.take(100)).toEqual({ slot: 1, streak: 1, at: 100 })
    expect(restartQueue.held(200, 1)).toBe(1)
    expect(restartQueue.held(200, 0)).toBe(0)
    expect(restartQueue.next(200)).toBeUndefined()
  })
})

describe('K27 DebugPorts', () => {
  it('gives each worker the lowest port that is free, and the same ones again', () => {
    const ports = new DebugPorts(['--import', 'tsx', '--inspect=127.0.0.1:4000'])
    expect([ports.take(), ports.take()]).toEqual([4_000, 4_001])
    ports.release(4_000)
    expect([ports.take(), ports.take()]).toEqual([4_000, 4_002])
  })

  it('leaves our own port alone, and knows when nobody wants to debug', () => {
    expect(new DebugPorts(['--inspect'], 'ws://127.0.0.1:9229/id').take()).toBe(9_230)
    expect(new DebugPorts(['--inspect-brk=[::1]:0'], undefined).take()).toBe(0)
    expect(new DebugPorts(['--inspector-gadget'], undefined).take()).toBeUndefined()
  })
})

describe('messages', () => {
  it('ignores what belongs to others or makes no sense', () => {
    const strange = [
      undefined,
      null,
      'ready',
      42,
      {},
      { type: 'ready' },
      { spillway: 'limiter', type: 'ready' },
      { spillway: 'cluster', type: 'no such thing' },
      { spillway: 'cluster', type: 'load', rss: 'much' },
      { spillway: 'cluster', type: 'failed' },
    ]
    expect(strange.map(fromWorker)).toEqual(strange.map(() => undefined))
    expect(fromWorker({ spillway: 'cluster', type: 'replace', reason: 'memory' })).toEqual({
      spillway: 'cluster',
      type: 'replace',
      reason: 'memory',
    })
    const load = { spillway: 'cluster', type: 'load', ...LOAD }
    expect(fromWorker(load)).toEqual(load)
  })
})

describe('K35 sticky', () => {
  const workers = (...slots: number[]) => slots.map((slot, i) => worker({ slot, id: i + 1 }))
  const addresses = Array.from({ length: 200 }, (_, i) => `10.0.${i % 7}.${i}`)

  it('gives an address to one place, also through a reload', () => {
    const old = workers(1, 2, 3)
    const replacement = worker({ slot: 2, id: 9 })
    for (const address of addresses) {
      const before = chosen(address, old)!.slot
      expect(chosen(address, old)!.slot).toBe(before)
      const during = chosen(address, [...old, replacement])!
      expect(during.slot).toBe(before)
      if (before === 2) expect(during.id).toBe(9)
    }
  })

  it('moves only the share of a worker that goes', () => {
    for (const address of addresses) {
      const before = chosen(address, workers(1, 2, 3))!.slot
      if (before !== 3) expect(chosen(address, workers(1, 2))!.slot).toBe(before)
    }
    expect(new Set(addresses.map((address) => chosen(address, workers(1, 2, 3))!.slot)).size).toBe(3)
  })
})

describe('LogOutput', () => {
  it('K34 keeps lines whole and in order, and goes on in a new file after logrotate', async () => {
    const path = join(folder(), 'app.log')
    const output = new LogOutput(path, 1_000_000)
    for (let i = 0; i < 1_000; i++) output.write(`line ${i}`)
    renameSync(path, `${path}.1`)
    output.reopen()
    output.write('after')
    await output.close()
    const lines = (readFileSync(`${path}.1`, 'utf8') + readFileSync(path, 'utf8')).trimEnd().split('\n')
    expect(lines).toEqual([...Array.from({ length: 1_000 }, (_, i) => `line ${i}`), 'after'])
    expect(output.stats).toEqual({ dropped: 0, error: undefined })
  })

  it('K34 drops and counts on a full disk, and does not fail', async () => {
    const full = openSync('/dev/full', 'w')
    onTestFinished(() => closeSync(full))
    const output = new LogOutput(full, 1_000_000)
    output.write('one')
    output.write('two')
    await output.close()
    expect(output.stats).toEqual({ dropped: 2, error: 'ENOSPC' })
  })

  it('K34 holds no more than it may', async () => {
    const output = new LogOutput(join(folder(), 'app.log'), 100)
    for (let i = 0; i < 1_000; i++) output.write('x'.repeat(49))
    expect(output.stats.dropped).toBe(998)
    await output.close()
  })
})

describe('K22 the number of CPUs', () => {
  function quota(files: Readonly<Record<string, string>>): number {
    const fs = folder()
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(fs, name, '..'), { recursive: true })
      writeFileSync(join(fs, name), text)
    }
    const self = join(fs, 'self')
    writeFileSync(self, '0::/\n1:cpu,cpuacct:/\n')
    return availableCpus({ fs, self })
  }

  it('is the quota rounded up, in cgroup v1 and v2, and never more than the scheduler offers', () => {
    const most = quota({})
    expect(quota({ 'cpu.max': '50000 100000' })).toBe(1)
    expect(quota({ 'cpu.max': '150000 100000' })).toBe(Math.min(2, most))
    expect(quota({ 'cpu/cpu.cfs_quota_us': '150000', 'cpu/cpu.cfs_period_us': '100000' })).toBe(
      Math.min(2, most),
    )
    expect(quota({ 'cpu.max': '9000000 100000' })).toBe(most)
    expect(quota({ 'cpu.max': 'max 100000' })).toBe(most)
  })
})

describe('S1 the states of a connection', () => {
  const states: ConnectionState[] = [
    'handshake',
    'foreign',
    'fresh',
    'receiving',
    'answering',
    'between',
    'http2',
    'websocket',
    'tunnel',
    'moved',
    'closing',
  ]

  it('S1 K52 allow a move between two exchanges of HTTP/1 only, and nothing after it', () => {
    const from = (event: ConnectionEvent) => states.filter((state) => nextState(state, event) !== undefined)
    expect(from('move')).toEqual(['fresh', 'between'])
    expect(from('close')).toEqual(['handshake', 'fresh', 'between'])
    for (const event of ['partial', 'request', 'answered', 'move', 'close'] as const) {
      for (const over of ['moved', 'closing', 'tunnel', 'http2', 'websocket'] as const) {
        expect(nextState(over, event)).toBeUndefined()
      }
    }
  })
})

describe('S2 a journey', () => {
  it('S2 is read from a message that has all of it, and from no other', () => {
    const said = { spillway: 'cluster', type: 'handover' }
    const journey = { listener: '127.0.0.1:80', used: true, tried: [1, 2] }
    expect(fromWorker({ ...said, ...journey, more: 1 })).toEqual({ ...said, ...journey })
    for (const wrong of [
      {},
      { ...journey, listener: 'x'.repeat(301) },
      { ...journey, listener: 7 },
      { ...journey, used: 'yes' },
      { ...journey, tried: [-1] },
      { ...journey, tried: Array.from({ length: 5_000 }, () => 1) },
    ]) {
      expect(fromWorker({ ...said, ...wrong })).toBeUndefined()
    }
  })
})

describe('the counters of the fleet', () => {
  it('S8 count any number of different reasons in a bounded table, and lose none', () => {
    const counters = new FleetCounters()
    for (let i = 0; i < 200; i++) {
      const gone = worker({ state: 'stopped', leaving: `reason ${i}`, lost: 0, entered: () => undefined })
      const exit = { id: 1, pid: 1, slot: 1, generation: 1, code: 0, signal: null, lost: 0 }
      counters.exited(gone, { ...exit, cause: undefined, error: undefined }, 0)
    }
    const counts = Object.values(counters.restarts)
    expect(counts.length).toBeLessThanOrEqual(65)
    expect(counts.reduce((sum = 0, each = 0) => sum + each, 0)).toBe(200)
  })
})
