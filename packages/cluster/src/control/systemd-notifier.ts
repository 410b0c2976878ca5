import { type ExecFileException, execFile } from 'node:child_process'
import { sleep } from '@spillway/kit'

/** How often within systemd's watchdog period we say that we live: twice is what its manual asks for. */
const PER_PERIOD = 2

/** systemd-notify waits for systemd to have read it, five seconds at most. Milliseconds. */
const PATIENCE = 6_000

/** A process that cannot be forked now may be in a moment: what is not said, systemd may take for a death. */
const TRIES = 5
const RETRY = 200

/**
 * Tells systemd about the service (sd_notify(3)), where `NOTIFY_SOCKET` is set. Node cannot send datagrams to a unix
 * socket, so `systemd-notify`, which every systemd brings along, does it: the unit needs `NotifyAccess=all`, as the
 * template of `spillway lb systemd` has it. Without the program nothing is said, and nothing fails.
 */
export class SystemdNotifier {
  readonly #active: boolean
  readonly #watchdog: number
  #timer: NodeJS.Timeout | undefined
  #last: Promise<void> = Promise.resolve()
  #unsaid = 0

  constructor(env: NodeJS.ProcessEnv = process.env) {
    this.#active = (env.NOTIFY_SOCKET ?? '') !== ''
    const forUs = env.WATCHDOG_PID === undefined || Number(env.WATCHDOG_PID) === process.pid
    this.#watchdog = forUs ? Number(env.WATCHDOG_USEC ?? 0) / 1_000 : 0
  }

  ready(workers: number): void {
    this.#say('READY=1', `STATUS=${workers} workers ready`)
    if (!this.#active || !(this.#watchdog > 0) || this.#timer !== undefined) return
    // When systemd is slow to listen, one that waits to be said is enough.
    const alive = () => this.#unsaid === 0 && this.#say('WATCHDOG=1')
    this.#timer = setInterval(alive, this.#watchdog / PER_PERIOD).unref()
  }

  reloading(): void {
    // systemd wants to know when, to tell this reload from an earlier one (Type=notify-reload).
    this.#say('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1_000n}`)
  }

  status(text: string): void {
    this.#say(`STATUS=${text}`)
  }

  /** Resolves when it has been said. */
  stopping(): Promise<void> {
    clearInterval(this.#timer)
    this.#say('STOPPING=1')
    return this.#last
  }

  /** In order: a READY must not overtake the RELOADING before it. */
  #say(...assignments: string[]): void {
    if (!this.#active) return
    this.#unsaid++
    this.#last = this.#last.then(() => notified(assignments)).then(() => void this.#unsaid--)
  }
}

/** Resolves when it is said, or cannot be. */
async function notified(assignments: readonly string[]): Promise<void> {
  for (let tries = 1; tries <= TRIES; tries++) {
    const error = await attempt(assignments)
    // Without the program, or when it has spoken and failed, trying again is no use.
    if (error === null || error.code === 'ENOENT' || error.syscall === undefined) return
    await sleep(RETRY * tries)
  }
}

function attempt(assignments: readonly string[]): Promise<NodeJS.ErrnoException | null> {
  return new Promise((resolve) => {
    try {
      const told = (error: ExecFileException | null) => resolve(error as NodeJS.ErrnoException | null)
      execFile('systemd-notify', assignments, { timeout: PATIENCE }, told)
    } catch (error) {
      // Some failures of a fork are thrown, others are told.
      resolve(error as NodeJS.ErrnoException)
    }
  })
}
