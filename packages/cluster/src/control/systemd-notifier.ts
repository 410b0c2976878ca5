import { type ExecFileException, execFile } from 'node:child_process'
import { sleep } from '@spillway/kit'

/** Keep-alives per watchdog period of systemd: its manual asks for two. */
const PER_PERIOD = 2

/** systemd-notify waits for systemd to have read it, five seconds at most. Milliseconds. */
const PATIENCE = 6_000

/** Attempts for each message: a fork that fails now may succeed in a moment, and systemd kills a service that is silent. */
const TRIES = 5
const RETRY = 200

/**
 * Tells systemd about the service (sd_notify(3)), where `NOTIFY_SOCKET` is set. Node cannot send datagrams to a unix
 * socket, so `systemd-notify`, which every systemd brings along, does it: the unit needs `NotifyAccess=all`, as the
 * template of `spillway lb systemd` has it. Without the program systemd is told nothing, and nothing fails.
 */
export class SystemdNotifier {
  readonly #active: boolean
  readonly #watchdog: number
  #timer: NodeJS.Timeout | undefined
  #last: Promise<void> = Promise.resolve()
  #queued = 0

  constructor(env: NodeJS.ProcessEnv = process.env) {
    this.#active = (env.NOTIFY_SOCKET ?? '') !== ''
    const forUs = env.WATCHDOG_PID === undefined || Number(env.WATCHDOG_PID) === process.pid
    this.#watchdog = forUs ? Number(env.WATCHDOG_USEC ?? 0) / 1_000 : 0
  }

  ready(workers: number): void {
    this.#notify('READY=1', `STATUS=${workers} workers ready`)
    if (!this.#active || !(this.#watchdog > 0) || this.#timer !== undefined) return
    // When systemd reads slowly, one waiting message is enough.
    const alive = () => this.#queued === 0 && this.#notify('WATCHDOG=1')
    this.#timer = setInterval(alive, this.#watchdog / PER_PERIOD).unref()
  }

  reloading(): void {
    // systemd wants to know when, to tell this reload from an earlier one (Type=notify-reload).
    this.#notify('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1_000n}`)
  }

  status(text: string): void {
    this.#notify(`STATUS=${text}`)
  }

  /** Resolves when systemd has been told. */
  stopping(): Promise<void> {
    clearInterval(this.#timer)
    this.#notify('STOPPING=1')
    return this.#last
  }

  /** In order: a READY must not overtake the RELOADING before it. */
  #notify(...assignments: string[]): void {
    if (!this.#active) return
    this.#queued++
    this.#last = this.#last.then(() => notified(assignments)).then(() => void this.#queued--)
  }
}

/** Runs systemd-notify; resolves also when that fails. */
async function notified(assignments: readonly string[]): Promise<void> {
  for (let tries = 1; tries <= TRIES; tries++) {
    const error = await attempt(assignments)
    // Without the program, or after an answer of the program, another attempt is useless.
    if (error === null || error.code === 'ENOENT' || error.syscall === undefined) return
    await sleep(RETRY * tries)
  }
}

function attempt(assignments: readonly string[]): Promise<NodeJS.ErrnoException | null> {
  return new Promise((resolve) => {
    try {
      const done = (error: ExecFileException | null) => resolve(error as NodeJS.ErrnoException | null)
      execFile('systemd-notify', assignments, { timeout: PATIENCE }, done)
    } catch (error) {
      // Some failures of a fork are thrown, others come to the callback.
      resolve(error as NodeJS.ErrnoException)
    }
  })
}
