import type { Clock } from '@spillway/kit'
import type { HangInfo } from '../events.js'
import type { WorkerProcess } from '../spawn/worker-process.js'
import { Liveness, type LivenessOptions } from './liveness.js'

/** Failure detector: checks the workers' heartbeats, makes late workers suspect and kills workers that are silent beyond the deadline. */
export class HeartbeatMonitor {
  readonly #timer: NodeJS.Timeout
  readonly #liveness: Liveness
  readonly #clock: Clock
  readonly #workers: () => Iterable<WorkerProcess>
  readonly #onHang: (hang: HangInfo) => void

  constructor(
    options: LivenessOptions,
    clock: Clock,
    workers: () => Iterable<WorkerProcess>,
    onHang: (hang: HangInfo) => void,
  ) {
    this.#clock = clock
    this.#workers = workers
    this.#onHang = onHang
    this.#liveness = new Liveness(options, clock.now())
    this.#timer = setInterval(() => this.#take(), this.#liveness.period).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #take(): void {
    const now = this.#clock.now()
    const { late, hung } = this.#liveness.check(this.#workers(), now)
    for (const worker of late) worker.apply('late', now)
    for (const worker of hung) {
      if (worker.killed !== undefined) continue
      this.#onHang({ ...worker.info, silent: now - worker.heardAt, stack: worker.hangStack })
      worker.kill('hang')
    }
  }
}
