import cluster from 'node:cluster'
import { EventEmitter } from 'node:events'
import {
  availableCpus,
  type Closable,
  type CloseOptions,
  closeOnce,
  durationMs,
  misuse,
  notify,
} from '@spillway/kit'
import { controlPath } from './control/control-client.js'
import { ControlServer } from './control/control-server.js'
import { handleSignals, type SignalActions } from './control/signals.js'
import { SystemdNotifier } from './control/systemd-notifier.js'
import { SupervisorClosedError } from './errors.js'
import type { DrainResult, ReloadResult, SupervisorEvents } from './events.js'
import { Fleet } from './fleet/fleet.js'
import { StickyListener } from './handover/sticky-listener.js'
import { Autoscaler } from './monitoring/autoscaler.js'
import {
  MOST_WORKERS,
  type ResolvedSupervisorOptions,
  resolveSupervisorOptions,
  type SupervisorOptions,
} from './options.js'
import { assertPortFree } from './port.js'
import { type SupervisorStats, snapshot } from './stats.js'

/**
 * Runs an app in several processes that share its port, and keeps them running: a worker that dies or hangs is replaced,
 * a reload replaces all of them without a lost request, and no worker outlives its supervisor.
 *
 * ```js
 * const supervisor = new Supervisor({ exec: './app.js', workers: 'auto' })
 * await supervisor.start()
 * ```
 *
 * The primary stays an ordinary `node:cluster` primary: other code may use `cluster.workers` and the workers' messages.
 */
export class Supervisor extends EventEmitter<SupervisorEvents> implements Closable {
  readonly #options: ResolvedSupervisorOptions
  readonly #fleet: Fleet
  readonly #systemd = new SystemdNotifier()
  readonly #uninstall: (() => void)[] = []
  #exitCode = 0
  #stopping = false
  #started: Promise<void> | undefined

  /**
   * Drains the workers and releases everything. The time is that of the `drain` option unless given here; after it, or
   * when `signal` aborts, the workers that are left are killed. Idempotent.
   */
  readonly close: (options?: CloseOptions) => Promise<void>

  /** @throws TypeError | RangeError `ERR_CLUSTER_OPTION` */
  constructor(options: SupervisorOptions = {}) {
    super()
    this.#options = resolveSupervisorOptions(options)
    const { workers } = this.#options
    this.#fleet = new Fleet(this.#options, workers === 'auto' ? availableCpus() : workers, this)
    this.close = closeOnce((given) => this.#close(given))
  }

  /**
   * Forks the first generation; resolves when all of it is ready. In a worker (option `app`) it runs the app instead.
   * When one of the first generation fails, the others are stopped too: a version that cannot start is no service.
   *
   * @throws StartError `ERR_CLUSTER_START` with the worker's own error, `ERR_CLUSTER_START_TIMEOUT`, `ERR_CLUSTER_PORT`
   * @throws TypeError `ERR_CLUSTER_PRIMARY` in a worker without the option `app`
   */
  start(): Promise<void> {
    this.#started ??= this.#start()
    return this.#started
  }

  /**
   * Replaces all workers, each only when its replacement is ready. Never rejects because of the new version: when that
   * fails, `ok` is false, `error` says why, and the old version goes on serving. Calls are served one after the other.
   *
   * @throws SupervisorClosedError `ERR_CLUSTER_CLOSED`
   */
  async reload(): Promise<ReloadResult> {
    this.#systemd.reloading()
    try {
      return await this.#fleet.reload()
    } finally {
      this.#systemd.ready(this.#fleet.ready)
    }
  }

  /**
   * Changes the number of workers; resolves when so many are ready. New workers see the new `SPILLWAY_WORKERS`;
   * running ones keep the old value until they are replaced.
   *
   * @throws RangeError `ERR_CLUSTER_SCALE`
   * @throws SupervisorClosedError `ERR_CLUSTER_CLOSED`
   */
  async scale(workers: number): Promise<void> {
    if (!Number.isSafeInteger(workers) || workers < 1 || workers > MOST_WORKERS) {
      throw misuse(
        RangeError,
        'ERR_CLUSTER_SCALE',
        `scale() takes a number of workers from 1 to ${MOST_WORKERS}, not ${workers}`,
      )
    }
    this.#fleet.scale(workers, 'call')
    await this.#fleet.settled()
  }

  /** Makes all workers finish what they have and leave, and tells how it went. They do not come back. */
  drain(): Promise<DrainResult> {
    return this.#fleet.drain(this.#options.drain.delay)
  }

  /** A snapshot of the workers and the counters, as plain data. */
  stats(): SupervisorStats {
    return snapshot(this.#options, this.#fleet)
  }

  /** Tells the workers' `serve()` to read its certificates again. */
  reloadTls(): void {
    for (const worker of this.#fleet.workers.values()) worker.send({ type: 'tls' })
  }

  /** Opens the log file again by its name, after logrotate has moved it away. */
  reopenLogs(): void {
    this.#fleet.logs?.reopen()
  }

  /** 0 when all that ran has ended by itself, 1 when a worker was killed, a request was cut off, or the first version failed. */
  get exitCode(): number {
    return this.#exitCode
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #start(): Promise<void> {
    const { app, port, signals, sticky } = this.#options
    if (cluster.isWorker) {
      if (app === undefined) {
        throw misuse(TypeError, 'ERR_CLUSTER_PRIMARY', 'start() belongs into the primary; this is a worker')
      }
      await app()
      return
    }
    try {
      if (port !== undefined && port !== 0 && sticky === false) await assertPortFree(port)
      await this.#openControl()
      if (signals) this.#uninstall.push(handleSignals(this.#actions()))
      await this.#fleet.start()
      await this.#listenSticky()
      this.#watchLoad()
      this.#systemd.ready(this.#fleet.ready)
    } catch (error) {
      // Stopped by a signal before it was up: that is what was wanted, and the process is about to end with its own code.
      if (this.#stopping) return new Promise(() => {})
      if (!(error instanceof SupervisorClosedError)) this.#exitCode = 1
      await this.close()
      throw error
    }
  }

  async #openControl(): Promise<void> {
    const { control, name } = this.#options
    if (control === false) return
    const server = new ControlServer(control === true ? controlPath(name) : control, {
      status: () => this.stats(),
      reload: async () => {
        const { error, ...result } = await this.reload()
        return { ...result, error: error?.message }
      },
      scale: (workers) => this.scale(workers),
      // Answered before the end, which takes the socket with it.
      stop: async () => void setImmediate(this.#actions().stop),
      reopen: () => this.reopenLogs(),
      tls: () => this.reloadTls(),
      follow: (listener) => this.#fleet.logs?.follow(listener) ?? (() => {}),
    })
    await server.open()
    this.#uninstall.push(() => server.close())
  }

  async #listenSticky(): Promise<void> {
    const { sticky } = this.#options
    if (sticky === false) return
    const listener = new StickyListener(() => this.#fleet.workers.values())
    const port = await listener.listen(sticky.port, sticky.host)
    this.#uninstall.push(() => listener.close())
    this.#fleet.readiness.addAddress({ address: sticky.host ?? null, port, addressType: 4 })
  }

  #watchLoad(): void {
    const { autoscale, heartbeat, clock } = this.#options
    if (autoscale === false || heartbeat === false) return
    const max = autoscale.max ?? Math.max(availableCpus(), autoscale.min)
    const autoscaler = new Autoscaler({ ...autoscale, max })
    const timer = setInterval(() => {
      if (this.#fleet.phase !== 'running') return
      const ready = [...this.#fleet.workers.values()].filter(({ state }) => state === 'ready')
      const loads = ready.map(({ load }) => load?.utilization).filter((each) => each !== undefined)
      const wanted = autoscaler.decide(loads, this.#fleet.target, clock.now())
      this.#fleet.scale(wanted, 'load')
    }, heartbeat.interval).unref()
    this.#uninstall.push(() => clearInterval(timer))
  }

  #actions(): SignalActions {
    return {
      reload: () => void this.reload().catch(() => {}),
      stop: async () => {
        this.#stopping = true
        await this.close()
        await this.#options.beforeExit?.()
        process.exit(this.exitCode)
      },
      force: () => this.#fleet.kill(),
      ...(this.#fleet.logs === undefined ? {} : { reopen: () => this.reopenLogs() }),
    }
  }

  async #close({ timeout, signal }: CloseOptions): Promise<void> {
    const said = this.#systemd.stopping()
    const drained = this.#fleet.drain(this.#options.drain.delay)
    const force = () => this.#fleet.kill()
    const limit = durationMs(timeout)
    const late = limit === undefined ? undefined : setTimeout(force, limit)
    signal?.addEventListener('abort', force, { once: true })
    if (signal?.aborted) force()
    const result = await drained
    clearTimeout(late)
    signal?.removeEventListener('abort', force)
    if (result.forced > 0 || result.lost > 0) this.#exitCode = 1
    for (const undo of this.#uninstall.splice(0)) undo()
    await Promise.all([said, this.#fleet.logs?.close()])
    notify(this, 'close', result)
  }
}
