import { AsyncLocalStorage, AsyncResource, createHook } from 'node:async_hooks'
import type { Claims } from '../wire/claims.js'

/** A call of a task that may have caused a crash. */
export interface Suspect {
  readonly ticket: number
  /** The number of its function. */
  readonly task: number
}

/** Async resources that a module may start while it is loaded, and that may throw later. Loading itself only reads files. */
const BACKGROUND = new Set(['Timeout', 'Immediate', 'TCPWRAP', 'TCPCONNECTWRAP', 'PIPEWRAP', 'UDPWRAP'])

/**
 * Attributes a crash of the thread to the task that caused it: a timer or a rejection of a task that has returned may end the
 * thread while another task runs. The attribution uses an `AsyncLocalStorage`, which costs time on Node before 24. So it begins
 * only when a task may have left something behind, which it shows by an async id that it used. That first task was not
 * followed: a later crash without a followed task is charged to it.
 */
export class CrashBlame {
  readonly #claims: Claims
  readonly #tasks = new AsyncLocalStorage<Suspect>()
  /** The task that left something behind before tasks were followed. */
  #first: Suspect | undefined

  constructor(claims: Claims) {
    this.#claims = claims
    process.on('uncaughtExceptionMonitor', this.#note)
    process.on('exit', this.#note)
  }

  /** Call it before a task begins; pass the result to {@link end}. */
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

  /** Without a suspect nothing was left behind: the main thread then charges the running task. */
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
