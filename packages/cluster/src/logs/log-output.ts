import { close, constants, fstatSync, openSync, write } from 'node:fs'

/** What was lost on the way to the file. */
export interface LogOutputStats {
  /** Lines that were dropped because the reader was too slow or gone, or the disk was full. */
  readonly dropped: number
  /** The last error of the file, such as `ENOSPC`. */
  readonly error: string | undefined
}

/** How long to wait when the other end takes nothing. Milliseconds. */
const RETRY = 100

/** How long to wait before a file that could not be opened again is tried once more. Milliseconds. */
const REOPEN = 1_000

/** Should the file be a named pipe, a reader that stalls must not stop us. */
const { O_APPEND, O_CREAT, O_WRONLY, O_NONBLOCK } = constants
const APPEND = O_APPEND | O_CREAT | O_WRONLY | O_NONBLOCK

/**
 * Lines to a file or a descriptor, in order, never within another line, and never waited for: what a slow reader or a
 * full disk does not take is held up to a limit, then dropped and counted. The writer is never blocked.
 */
export class LogOutput {
  readonly #path: string | undefined
  readonly #pipe: NodeJS.WriteStream | undefined
  readonly #limit: number
  #descriptor: number
  #queue: string[] = []
  #bytes = 0
  #dropped = 0
  #said = 0
  #error: string | undefined
  #reopenError: string | undefined
  /** What was written last ends within a line: the disk was full. */
  #torn = false
  /** Descriptors of former files; closed when nothing is being written, since a number that is free may be another file. */
  #former: number[] = []
  #reopening: NodeJS.Timeout | undefined
  #writing = false
  #closed = false
  #ended = false
  #drained: () => void = () => {}

  /** @throws the error of opening the file */
  constructor(target: string | number, limit: number) {
    this.#path = typeof target === 'string' ? target : undefined
    this.#descriptor = typeof target === 'string' ? openSync(target, APPEND, 0o640) : target
    this.#pipe = typeof target === 'number' ? pipeOf(target) : undefined
    this.#limit = limit
  }

  get stats(): LogOutputStats {
    return { dropped: this.#dropped, error: this.#error ?? this.#reopenError }
  }

  /** Takes a line (without its end), or drops it. */
  write(line: string): void {
    const bytes = Buffer.byteLength(line) + 1
    if (this.#closed || this.#bytes + bytes > this.#limit) {
      this.#dropped++
      return
    }
    this.#queue.push(`${line}\n`)
    this.#bytes += bytes
    this.#pump()
  }

  /** Opens the file again by its name, after logrotate has moved it away. */
  reopen(): void {
    clearTimeout(this.#reopening)
    if (this.#path === undefined || this.#ended) return
    try {
      const fresh = openSync(this.#path, APPEND, 0o640)
      this.#former.push(this.#descriptor)
      this.#descriptor = fresh
      this.#reopenError = undefined
      if (!this.#writing) this.#closeFormer()
    } catch (error) {
      // No descriptor is free, the disk is full, the folder is not there yet: the former file is written until it can be.
      this.#reopenError = (error as NodeJS.ErrnoException).code
      this.#reopening = setTimeout(() => this.reopen(), REOPEN).unref()
    }
  }

  /** Resolves when what was taken is written, or `patience` milliseconds have passed. */
  close(patience = 1_000): Promise<void> {
    this.#closed = true
    return new Promise<void>((resolve) => {
      const late = setTimeout(resolve, patience)
      this.#drained = () => {
        clearTimeout(late)
        resolve()
      }
      if (!this.#writing && this.#queue.length === 0) this.#drained()
    }).then(() => {
      this.#ended = true
      clearTimeout(this.#reopening)
      this.#closeFormer()
      if (this.#path !== undefined) close(this.#descriptor, () => {})
    })
  }

  #closeFormer(): void {
    for (const descriptor of this.#former.splice(0)) close(descriptor, () => {})
  }

  #pump(): void {
    if (this.#writing || this.#queue.length === 0) return
    this.#writing = true
    const lines = this.#queue.splice(0)
    const taken = lines.length
    const said = this.#dropped
    const unsaid = said - this.#said
    if (unsaid > 0) lines.unshift(`[spillway] ${unsaid} lines of output were dropped here\n`)
    if (this.#torn) lines.unshift('\n')
    this.#put(Buffer.from(lines.join('')), { lines: taken, said })
  }

  #put(chunk: Buffer, batch: Batch): void {
    if (this.#pipe !== undefined) {
      this.#pipe.write(chunk, (error) => this.#over(error, chunk.length, batch))
      return
    }
    write(this.#descriptor, chunk, 0, chunk.length, null, (error, written) => {
      if (error?.code === 'EAGAIN') setTimeout(() => this.#again(chunk, batch), RETRY)
      else if (error === null && written < chunk.length) {
        this.#bytes -= written
        this.#torn = chunk[written - 1] !== LINE_FEED
        this.#put(chunk.subarray(written), batch)
      } else this.#over(error, chunk.length, batch)
    })
  }

  /** Does nothing after the end: the number of the descriptor may belong to another file by then. */
  #again(chunk: Buffer, batch: Batch): void {
    if (!this.#ended) this.#put(chunk, batch)
  }

  #over(error: NodeJS.ErrnoException | null | undefined, bytes: number, { lines, said }: Batch): void {
    // A full disk, a reader that is gone: the lines are lost, the next ones may not be.
    if (error) this.#dropped += lines
    else {
      this.#said = said
      this.#torn = false
    }
    this.#closeFormer()
    this.#error = error?.code
    this.#bytes = Math.max(0, this.#bytes - bytes)
    this.#writing = false
    if (this.#queue.length > 0) this.#pump()
    else this.#drained()
  }
}

interface Batch {
  readonly lines: number
  /** How many dropped lines it tells of, with all before it. */
  readonly said: number
}

const LINE_FEED = 10

/**
 * The stream of a standard descriptor that is a pipe or a socket. Written to directly, it would block one of the threads
 * of Node's pool when the reader stalls, and the process could not even exit.
 */
function pipeOf(descriptor: number): NodeJS.WriteStream | undefined {
  const stats = fstatSync(descriptor)
  if (!stats.isFIFO() && !stats.isSocket()) return undefined
  const stream = { 1: process.stdout, 2: process.stderr }[descriptor]
  // A reader that goes away is told to the callback of each write.
  if (stream?.listenerCount('error') === 0) stream.on('error', () => {})
  return stream
}
