import type { ReloadResult } from '../events.js'
import { Deferred } from '../ipc/deferred.js'

/** One rolling reload: from the moment the old workers are marked until the last of them is gone. */
export class Reload {
  /** The generation it brings in; known when it begins. */
  generation = 0
  replaced = 0
  forced = 0
  lost = 0
  error: Error | undefined
  readonly #result = new Deferred<ReloadResult>()
  #startedAt = 0

  get promise(): Promise<ReloadResult> {
    return this.#result.promise
  }

  begin(generation: number, now: number): void {
    this.generation = generation
    this.#startedAt = now
  }

  finish(now: number): ReloadResult {
    const result: ReloadResult = {
      ok: this.error === undefined,
      generation: this.generation,
      replaced: this.replaced,
      forced: this.forced,
      lost: this.lost,
      milliseconds: now - this.#startedAt,
      ...(this.error === undefined ? {} : { error: this.error }),
    }
    this.#result.resolve(result)
    return result
  }

  cancel(error: Error): void {
    this.#result.reject(error)
  }
}
