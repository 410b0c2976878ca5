import { execFile } from 'node:child_process'

/** How often within systemd's watchdog period we say that we live: twice is what its manual asks for. */
const PER_PERIOD = 2

/** systemd-notify waits for systemd to have read it, five seconds at most. Milliseconds. */
const PATIENCE = 6_000

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
    const said = () =>
      new Promise<void>((resolve) => {
        execFile('systemd-notify', assignments, { timeout: PATIENCE }, () => {
          this.#unsaid--
          resolve()
        })
      })
    this.#last = this.#last.then(said)
  }
}
