import { writeFileSync } from 'node:fs'
import { FakeClock } from '@spillway/kit/testing'
import { MemoryMonitor, type MemoryMonitorOptions } from '../src/index.js'
import type { GcKind, GcKindStats, GcMeter, LiveSize } from '../src/sampling/gc-meter.js'
import type { BacklogMeter } from '../src/sampling/loop-backlog.js'
import type { LoopMeter, LoopSample } from '../src/sampling/loop-meter.js'
import type { System } from '../src/sampling/system.js'

export const MB = 1024 ** 2
export const GB = 1024 ** 3

/** Keeps the event loop busy. */
export function block(milliseconds: number): void {
  const end = performance.now() + milliseconds
  while (performance.now() < end);
}

/** A machine whose numbers a test sets. Without files it has no control groups. */
export class FakeSystem implements System {
  files: Record<string, string> = {}
  usage = { rss: 100 * MB, heapTotal: 60 * MB, heapUsed: 50 * MB, external: 2 * MB, arrayBuffers: MB }
  loop: LoopSample = { p50: 0, p99: 0, max: 0, utilization: 0 }
  ram = 8 * GB
  constrained: number | undefined = 0
  heap = 4 * GB
  disk = 100 * GB
  resources: readonly string[] = []
  /** What full collections have left since the last look. */
  liveSizes: LiveSize[] = []
  /** What a forced collection leaves. */
  alive: LiveSize | undefined
  usageReads = 0
  stopped = 0
  #last: LiveSize | undefined

  memoryUsage = (): NodeJS.MemoryUsage => {
    this.usageReads++
    return { ...this.usage }
  }
  heapLimit = (): number => this.heap
  oldGeneration = (): number => this.usage.heapUsed
  readFile = (path: string): string | undefined => this.files[path]
  totalMemory = (): number => this.ram
  constrainedMemory = (): number | undefined => this.constrained
  freeDisk = (): number => this.disk
  watchLoop = (): LoopMeter => ({ read: () => this.loop, stop: () => this.stopped++ })
  /** Milliseconds that a request has waited. */
  waited = 0
  /** And the next connection at the door. */
  acceptDelay = 0
  followed = false
  watchBacklog = (): BacklogMeter => ({
    start: () => {
      this.followed = true
    },
    pause: () => {
      this.followed = false
    },
    waited: () => this.waited,
    acceptDelay: () => this.acceptDelay,
    longestTask: 0,
    close: () => {
      this.followed = false
    },
  })
  watchGc = (): GcMeter => {
    const system = this
    const byKind = Object.fromEntries(
      ['minor', 'major', 'incremental', 'other'].map((kind) => [kind, { count: 0, pause: 0, longest: 0 }]),
    ) as Record<GcKind, GcKindStats>
    return {
      byKind,
      allocated: 0,
      get live() {
        return system.#last
      },
      drain() {
        const liveSizes = system.liveSizes
        system.liveSizes = []
        system.#last = liveSizes.at(-1) ?? system.#last
        return liveSizes
      },
      stop: () => system.stopped++,
    }
  }
  collectGarbage = (): number => {
    if (this.alive !== undefined) this.liveSizes.push(this.alive)
    return 10
  }
  writeHeapSnapshot = (file: string): void => writeFileSync(file, '{"snapshot":{}}')
  activeResources = (): readonly string[] => this.resources
}

export interface Stand {
  readonly monitor: MemoryMonitor
  readonly system: FakeSystem
  readonly clock: FakeClock
  /** Lets time pass, with a sample every 250 ms. */
  pass(milliseconds: number, before?: () => void): void
}

const open: MemoryMonitor[] = []

/** A monitor on a fake machine and a fake clock: it samples only when `pass` says so. Closed by `closeAll`. */
export function stand(options: MemoryMonitorOptions = {}, system = new FakeSystem()): Stand {
  const clock = new FakeClock()
  const monitor = new MemoryMonitor({
    system,
    clock,
    sampleEvery: '1h',
    startupGrace: 0,
    countHttp: false,
    random: () => 0,
    ...options,
  })
  open.push(monitor)
  return {
    monitor,
    system,
    clock,
    pass(milliseconds, before) {
      for (let passed = 0; passed < milliseconds; passed += 250) {
        clock.advance(250)
        before?.()
        monitor.sample()
      }
    },
  }
}

export async function closeAll(): Promise<void> {
  await Promise.all(open.splice(0).map((monitor) => monitor.close()))
}
