import diagnosticsChannel from 'node:diagnostics_channel'
import { EventEmitter } from 'node:events'
import type { Server } from 'node:net'
import { ADMIT, type CloseOptions, channel, closeOnce, notify, type Verdict } from '@spillway/kit'
import { heapAdvice, warnOnce } from './advice.js'
import { SnapshotWriter } from './heap/snapshot-writer.js'
import type { Leak } from './leak/leak.js'
import { LeakDetector } from './leak/leak-detector.js'
import { LeakInvestigations } from './leak/leak-investigations.js'
import { higher, isLevel, type Level, type Reason } from './level.js'
import { type MemoryMonitorOptions, type ResolvedOptions, resolveOptions } from './options.js'
import { Replacement } from './replacement.js'
import { type MemoryReport, makeReport } from './report.js'
import { type Sample, Sampler } from './sampling/sampler.js'
import { LoadShedder, type Priority, patienceFor } from './shedding/load-shedder.js'
import { isAboutMemory, Signals } from './shedding/signals.js'
import type { MemoryStats } from './stats.js'

const levels = channel<{ level: Level; from: Level; reasons: readonly Reason[] }>('spillway:memory:level')

/** Published by `node:http` for every request of every server. */
const HTTP_REQUESTS = 'http.server.request.start'

export interface MemoryEvents {
  /** The level changed; with the signals that are not `ok`. */
  level: [level: Level, reasons: readonly Reason[]]
  /** A replacement of this process was asked for. */
  replace: [reasons: readonly Reason[]]
  /** A leak is confirmed, and its investigation has ended. */
  leak: [leak: Leak]
  /** A heap snapshot was written. */
  snapshot: [file: string, reason: string]
  /** A snapshot that the options ask for was not written. */
  refusal: [error: unknown]
}

/**
 * Monitor of the memory and the event loop of this process. Compares them with the container's limit, V8's heap limit and
 * the kernel's pressure figures. One unref'ed timer takes the samples; a request reads one field.
 *
 * @throws TypeError | RangeError `ERR_MEMORY_OPTION`
 */
export class MemoryMonitor extends EventEmitter<MemoryEvents> {
  /** `'ok'`, `'elevated'` or `'critical'`: the highest of all signals. */
  level: Level = 'ok'
  /** Whether ordinary requests should be refused: `level` is `'critical'`. */
  overloaded = false
  /** The signals that are not `ok`, with their numbers. */
  reasons: readonly Reason[] = []
  /** Requests counted so far: those of `node:http` servers, and what `countRequest()` was told. */
  requests = 0
  readonly #options: ResolvedOptions
  readonly #sampler: Sampler
  readonly #signals: Signals
  readonly #shedder: LoadShedder
  readonly #replacement: Replacement
  readonly #snapshots: SnapshotWriter
  readonly #detector: LeakDetector | undefined
  readonly #investigations: LeakInvestigations | undefined
  readonly #startedAt: number
  /** Milliseconds of delay from which the event loop is late. */
  readonly #lateFrom: number
  readonly #timer: NodeJS.Timeout
  /** The server of the last request. */
  #server: Server | undefined
  readonly #countHttp = (message: unknown): void => {
    this.requests++
    this.#server = (message as { server: Server }).server
  }
  #samples = 0
  #last: Sample
  #closed = false

  /** Stops sampling and gives every handle back. Idempotent. `level` becomes `'ok'`. */
  readonly close: (options?: CloseOptions) => Promise<void>

  constructor(options: MemoryMonitorOptions = {}) {
    super()
    const resolved = resolveOptions(options)
    const now = resolved.clock.now()
    this.#options = resolved
    this.#startedAt = now
    this.#sampler = new Sampler(resolved.system, resolved.limit)
    this.#signals = new Signals(resolved.marks, resolved)
    const { delay } = resolved.marks
    this.#lateFrom =
      delay === false || delay.elevated === false ? Number.POSITIVE_INFINITY : delay.elevated[1]
    const patience = patienceFor(delay)
    const turns = resolved.system.watchBacklog(() => this.#server)
    this.#shedder = new LoadShedder(turns, patience, resolved.leaveAfter, resolved.random)
    this.#replacement = new Replacement(resolved, now)
    this.#snapshots = new SnapshotWriter(resolved.snapshot, resolved.system, resolved.clock)
    if (resolved.leak !== false) {
      const { profile, profileInterval } = resolved.leak
      const snapshots = resolved.snapshot !== false && resolved.snapshot.onLeak
      this.#detector = new LeakDetector(resolved.leak, this.#sampler, now)
      this.#investigations = new LeakInvestigations(
        this.#detector,
        this.#snapshots,
        { profileInterval: profile && profileInterval, snapshots },
        (leak) => notify<MemoryEvents, 'leak'>(this, 'leak', leak),
      )
    }
    this.#last = this.sample()
    const advice = heapAdvice(this.#last.heapLimit, this.#sampler.limits.smallest(now))
    if (advice !== undefined) warnOnce('SPILLWAY_MEMORY_HEAP_LIMIT', advice)
    this.#timer = setInterval(() => this.sample(), resolved.sampleEvery)
    this.#timer.unref()
    if (resolved.countHttp) diagnosticsChannel.subscribe(HTTP_REQUESTS, this.#countHttp)
    this.close = closeOnce(() => this.#release())
  }

  /** For work that is not a `node:http` request: jobs, messages, HTTP/2 streams. The leak detector counts by it. */
  countRequest(count = 1): void {
    this.requests += count
  }

  /**
   * Whether a request of this priority is served: a verdict with an `error` refuses it. Reads one field while nothing is
   * refused. `fresh`: the request is the first of its connection, so it may have waited in the accept queue.
   */
  verdict(priority: Priority = 1, fresh = false): Verdict {
    return this.#shedder.calm ? ADMIT : this.#shedder.decide(priority, fresh, this.#options.clock.now())
  }

  /** Nothing is refused at present, whatever its priority. */
  get calm(): boolean {
    return this.#shedder.calm
  }

  /**
   * Waits of requests are being measured: only then does it matter whether a request is the first of its connection.
   *
   * @internal
   */
  get measuring(): boolean {
    return this.#shedder.measuring
  }

  /** Takes a sample now and updates the level. After `close()`: returns the last sample. */
  sample(): Sample {
    if (this.#closed) return this.#last
    const now = this.#options.clock.now()
    const sample = this.#sampler.read(now)
    this.#samples++
    this.#last = sample
    this.#judge(sample, now - this.#startedAt < this.#options.startupGrace)
    if (this.#detector !== undefined) {
      const changes = this.#detector.update(sample, this.requests, this.level !== 'critical')
      this.#investigations?.update(changes, sample)
    }
    return sample
  }

  /** Leaks that are suspected or confirmed at the moment. */
  get leaks(): readonly Leak[] {
    return this.#investigations?.leaks(this.#last) ?? []
  }

  /**
   * Writes a heap snapshot, for Chrome DevTools or `diffSnapshots`, and resolves to its path. The process stands still
   * meanwhile, about 90 ms per MB of heap.
   *
   * @throws SnapshotRefusedError `ERR_MEMORY_SNAPSHOT_REFUSED` when it would hurt: too soon, too large, too little room
   */
  async snapshot(reason = 'manual'): Promise<string> {
    const sample = this.sample()
    const write = () => this.#snapshots.write(reason, sample)
    const file = await (this.#investigations?.withProfilesPaused(sample, write) ?? write())
    notify<MemoryEvents, 'snapshot'>(this, 'snapshot', file, reason)
    return file
  }

  /** All figures as plain data; `reportText` and `reportHtml` render it. */
  report(): MemoryReport {
    const { system, emitters } = this.#options
    return makeReport(this.stats(), this.leaks, system.activeResources(), emitters)
  }

  stats(): MemoryStats {
    return {
      level: this.level,
      overloaded: this.overloaded,
      reasons: this.reasons,
      sample: this.#last,
      samples: this.#samples,
      requests: this.requests,
      refused: this.#shedder.refused,
      shedShare: this.#shedder.share,
      replacementsAsked: this.#replacement.asked,
      collections: structuredClone(this.#sampler.collections.byKind),
      forcedCollections: this.#detector?.forced ?? 0,
      leaks: this.leaks.length,
      snapshots: this.#snapshots.count,
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #judge(sample: Sample, starting: boolean): void {
    const reasons = this.#signals.update(sample, this.#askHealth(), starting)
    const level = reasons.reduce<Level>((highest, reason) => higher(highest, reason.level), 'ok')
    const late = reasons.some(({ signal }) => signal === 'delay') && sample.loop.p99 >= this.#lateFrom
    // Long turns are normal while the process starts.
    const { max: longest, utilization: busy } = starting ? { max: 0, utilization: 0 } : sample.loop
    this.#shedder.update(level, reasons, { late, longest, busy }, sample.at)
    this.reasons = reasons
    const from = this.level
    this.level = level
    this.overloaded = level === 'critical'
    if (level !== from) {
      levels.publish(() => ({ level, from, reasons }))
      notify<MemoryEvents, 'level'>(this, 'level', level, reasons)
    }
    const ofMemory = reasons.filter((reason) => reason.level === 'critical' && isAboutMemory(reason))
    if (ofMemory.length > 0 && this.#replacement.ask(ofMemory, sample.at)) {
      notify<MemoryEvents, 'replace'>(this, 'replace', ofMemory)
    }
    const { snapshot } = this.#options
    if (
      level === 'critical' &&
      from !== 'critical' &&
      ofMemory.length > 0 &&
      snapshot !== false &&
      snapshot.onCritical
    ) {
      this.snapshot('critical').catch((error) => notify<MemoryEvents, 'refusal'>(this, 'refusal', error))
    }
  }

  /** A health function that throws or returns no level counts as `ok`, with a warning. */
  #askHealth(): Level {
    try {
      const level: unknown = this.#options.health()
      if (isLevel(level)) return level
      warnOnce(
        'SPILLWAY_MEMORY_HEALTH',
        `The health option must return 'ok', 'elevated' or 'critical', not ${String(level)}`,
      )
    } catch (error) {
      warnOnce('SPILLWAY_MEMORY_HEALTH', `The health option failed: ${String(error)}`)
    }
    return 'ok'
  }

  #release(): void {
    this.#closed = true
    clearInterval(this.#timer)
    this.#investigations?.close()
    if (this.#options.countHttp) diagnosticsChannel.unsubscribe(HTTP_REQUESTS, this.#countHttp)
    this.#sampler.stop()
    this.#shedder.stop()
    this.#server = undefined
    this.level = 'ok'
    this.overloaded = false
    this.reasons = []
  }
}
