/** What the rows come through. */
export interface Source {
  /** Reads nothing more until {@link Source.resume}; what has been read already may still come. */
  pause(): void
  resume(): void
}

/**
 * Rows on their way from a connection to a loop: they come in bursts, one for each read of the socket, and are taken one
 * by one. With `readAhead` rows or more in store the source is paused, and it goes on when half of them are taken.
 */
export class RowFeed<Row> {
  readonly #source: Source
  readonly #readAhead: number
  #rows: Row[] = []
  #taken = 0
  #paused = false
  #over = false
  #failed = false
  #error: unknown
  #wake: (() => void) | undefined

  constructor(source: Source, readAhead: number) {
    this.#source = source
    this.#readAhead = readAhead
  }

  /** Rows in store. */
  get size(): number {
    return this.#rows.length - this.#taken
  }

  push(row: Row): void {
    if (this.#over) return
    this.#rows.push(row)
    if (!this.#paused && this.size >= this.#readAhead) {
      this.#paused = true
      this.#source.pause()
    }
    this.#awake()
  }

  /** No more rows will come; those in store can still be taken. */
  end(): void {
    this.#over = true
    if (this.#paused) {
      this.#paused = false
      this.#source.resume()
    }
    this.#awake()
  }

  /** Drops what is in store; whoever wants a row gets the error. The first one counts. */
  fail(error: unknown): void {
    if (this.#failed) return
    this.#failed = true
    this.#error = error
    this.#rows = []
    this.#taken = 0
    this.end()
  }

  /** The next row, if it is there. @throws the error of {@link fail} */
  take(): Row | undefined {
    if (this.#failed) throw this.#error
    if (this.size === 0) return undefined
    const row = this.#rows[this.#taken++]
    if (this.size === 0) {
      this.#rows = []
      this.#taken = 0
    }
    if (this.#paused && this.size <= this.#readAhead / 2) {
      this.#paused = false
      this.#source.resume()
    }
    return row
  }

  /** Resolves when there is a row, or the end. For one who waits at a time. */
  async change(): Promise<void> {
    if (this.size > 0 || this.#over) return
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
  }

  #awake(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }
}
