/**
 * Lazy `AbortController`: one is made only when a loader asks for its signal, which most never do, and which costs more than
 * a whole hit.
 */
export class LazyAbort {
  #controller: AbortController | undefined
  #listener: ((reason: unknown) => void) | undefined
  #reason: unknown
  /** It has been aborted. */
  done = false

  get reason(): unknown {
    return this.#reason
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.done) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  /** Calls back when it is aborted; one listener at a time. Returns how to stop listening. */
  listen(listener: (reason: unknown) => void): () => void {
    this.#listener = listener
    return () => {
      if (this.#listener === listener) this.#listener = undefined
    }
  }

  /** Counts once. */
  abort(reason: unknown = new DOMException('This operation was aborted', 'AbortError')): void {
    if (this.done) return
    this.done = true
    this.#reason = reason
    this.#controller?.abort(reason)
    this.#listener?.(reason)
  }
}
