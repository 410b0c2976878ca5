import { EventEmitter } from 'node:events'
import type { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { LogOutput, type LogOutputStats } from './log-output.js'

/** One line of a worker's output. */
export interface LogLine {
  readonly name: string
  readonly slot: number
  readonly pid: number
  readonly stream: 'stdout' | 'stderr'
  readonly text: string
}

/** A worker, as far as its output is concerned. */
export interface LogSource {
  readonly pid: number
  readonly slot: number
  readonly handle: {
    readonly process: { readonly stdout: Readable | null; readonly stderr: Readable | null }
  }
}

/** {@link LogOptions} with their defaults. */
export interface ResolvedLogOptions {
  readonly file?: string | undefined
  readonly format: 'prefix' | 'json'
  readonly buffer: number
}

/** A longer line is written in pieces, so that one without an end cannot fill the memory. */
const LONGEST = 64 * 1024

/** The output of all workers, line by line. */
export class Logs {
  readonly #name: string
  readonly #format: 'prefix' | 'json'
  readonly #outputs: { readonly stdout: LogOutput; readonly stderr: LogOutput }
  readonly #lines = new EventEmitter<{ line: [line: LogLine] }>()

  /** @throws the error of opening the file */
  constructor(name: string, { file, format, buffer }: ResolvedLogOptions) {
    this.#name = name
    this.#format = format
    this.#lines.setMaxListeners(0)
    const stdout = new LogOutput(file ?? 1, buffer)
    this.#outputs = { stdout, stderr: file === undefined ? new LogOutput(2, buffer) : stdout }
  }

  get stats(): LogOutputStats {
    const { stdout, stderr } = this.#outputs
    if (stdout === stderr) return stdout.stats
    return {
      dropped: stdout.stats.dropped + stderr.stats.dropped,
      error: stdout.stats.error ?? stderr.stats.error,
    }
  }

  /** Reads the output of a worker, also when its lines are dropped: a full pipe would stop the worker. */
  take(worker: LogSource): void {
    const { stdout, stderr } = worker.handle.process
    if (stdout !== null) this.#read(worker, 'stdout', stdout)
    if (stderr !== null) this.#read(worker, 'stderr', stderr)
  }

  /** Tells of each line from now on; returns the end of it. */
  follow(listener: (line: LogLine) => void): () => void {
    this.#lines.on('line', listener)
    return () => this.#lines.off('line', listener)
  }

  reopen(): void {
    this.#outputs.stdout.reopen()
  }

  async close(): Promise<void> {
    const { stdout, stderr } = this.#outputs
    await Promise.all([stdout.close(), ...(stderr === stdout ? [] : [stderr.close()])])
  }

  #read({ slot, pid }: LogSource, stream: LogLine['stream'], source: Readable): void {
    const decoder = new StringDecoder('utf8')
    let rest = ''
    const tell = (text: string) => this.#tell({ name: this.#name, slot, pid, stream, text })
    source.on('data', (chunk: Buffer) => {
      const lines = (rest + decoder.write(chunk)).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) tell(line)
      while (rest.length > LONGEST) {
        tell(rest.slice(0, LONGEST))
        rest = rest.slice(LONGEST)
      }
    })
    source.on('end', () => {
      rest += decoder.end()
      if (rest !== '') tell(rest)
    })
    source.on('error', () => {})
  }

  #tell(line: LogLine): void {
    this.#outputs[line.stream].write(this.#format === 'json' ? jsonOf(line) : prefixed(line))
    this.#lines.emit('line', line)
  }
}

/** `web.1 | text` */
export function prefixed({ name, slot, text }: LogLine): string {
  return `${name}.${slot} | ${text}`
}

function jsonOf({ name, slot, pid, stream, text }: LogLine): string {
  return JSON.stringify({ time: new Date().toISOString(), name, slot, pid, stream, text })
}
