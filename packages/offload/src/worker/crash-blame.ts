import { AsyncLocalStorage, AsyncResource, createHook } from 'node:async_hooks'
import type { Claims } from '../wire/claims.js'

/** A call of a task, as far as blame goes. */
export interface Suspect {
  readonly ticket: number
  /** The number of its function. */
  readonly task: number
}

/** What a module that is loaded may start, and what throws later: a timer, a socket. Files are read by loading itself. */
const BACKGROUND = new Set(['Timeout', 'Immediate', 'TCPWRAP', 'TCPCONNECTWRAP', 'PIPEWRAP', 'UDPWRAP'])

/**
 * Knows in a thread which task a crash comes from: a timer or a rejection of one that has returned long ago ends the
 * thread while another one runs. To follow each promise costs time on Node before 24, so it begins only when a task may
 * have left something behind: when it made anything that has an id for async hooks. What then comes from no task that
 * was followed comes from that one.
 */
export class CrashBlame {
  readonly #claims: Claims
  readonly #tasks = new AsyncLocalStorage<Suspect>()
  /** The one that was not followed. */
  #first: Suspect | undefined

  constructor(claims: Claims) {
    this.#claims = claims
    process.on('uncaughtExceptionMonitor', this.#note)
    process.on('exit', this.#note)
  }

  /** Before a task begins; to hand to {@link end}. */
  begin(): number {
    return this.#first === undefined ? newestId() : Number.POSITIVE_INFINITY
  }

  /** The task has returned. Without a new id there is no timer, no socket and no file that could call back. */
  end(suspect: Suspect, begun: number): void {
    if (newestIdAbove(begun)) this.#first ??= suspect
  }

  follow<T>(suspect: Suspect, run: () => T): T {
    return this.#first === undefined ? run() : this.#tasks.run(suspect, run)
  }

  /** Loads the module of a task. What that starts in the background is the task's, too. */
  async load<T>(suspect: Suspect, load: () => Promise<T>): Promise<T> {
    if (this.#first !== undefined) return this.#tasks.run(suspect, load)
    const hook = createHook({
      init: (_id, type) => {
        if (BACKGROUND.has(type)) this.#first ??= suspect
      },
    }).enable()
    try {
      return await load()
    } finally {
      hook.disable()
    }
  }

  /** While nothing was left behind before, a crash is that of the task that runs. */
  readonly #note = (): void => {
    const suspect = this.#tasks.getStore() ?? this.#first
    if (suspect !== undefined) this.#claims.blame(suspect)
  }
}

function newestId(): number {
  return new AsyncResource('OffloadProbe', { requireManualDestroy: true }).asyncId()
}

function newestIdAbove(id: number): boolean {
  return id !== Number.POSITIVE_INFINITY && newestId() > id + 1
}
