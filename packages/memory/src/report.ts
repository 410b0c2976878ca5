import type { EventEmitter } from 'node:events'
import { getHeapSpaceStatistics } from 'node:v8'
import type { Leak } from './leak/leak.js'
import type { MemoryStats } from './stats.js'

export interface HeapSpace {
  readonly name: string
  /** Bytes. */
  readonly used: number
  readonly size: number
}

/** All figures of the monitor as plain data: what `monitor.report()` returns. */
export interface MemoryReport {
  /** ISO 8601. */
  readonly at: string
  readonly pid: number
  readonly node: string
  /** Seconds since the process started. */
  readonly uptime: number
  readonly stats: MemoryStats
  /** V8's heap, space by space. */
  readonly spaces: readonly HeapSpace[]
  /** Open resources by type: sockets, timers, files. */
  readonly resources: Readonly<Record<string, number>>
  /** Listeners of `process` and of the emitters in the option `emitters`. */
  readonly listeners: Readonly<Record<string, number>>
  readonly leaks: readonly Leak[]
}

export function makeReport(
  stats: MemoryStats,
  leaks: readonly Leak[],
  resources: readonly string[],
  emitters: Readonly<Record<string, EventEmitter>>,
): MemoryReport {
  return {
    at: new Date().toISOString(),
    pid: process.pid,
    node: process.version,
    uptime: Math.round(process.uptime()),
    stats,
    spaces: getHeapSpaceStatistics().map(({ space_name, space_used_size, space_size }) => ({
      name: space_name,
      used: space_used_size,
      size: space_size,
    })),
    resources: counted(resources),
    listeners: Object.fromEntries(
      Object.entries({ process, ...emitters }).map(([name, emitter]) => [name, listenersOf(emitter)]),
    ),
    leaks,
  }
}

function counted(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

function listenersOf(emitter: EventEmitter): number {
  return emitter.eventNames().reduce((sum, event) => sum + emitter.listenerCount(event), 0)
}
