import { url } from 'node:inspector'

/** Node's own. */
const DEFAULT = 9_229

const HIGHEST = 65_535

const INSPECT = /^--inspect(?:-brk|-wait|-port)?(?:=(?:.*:)?(\d+)|=.*)?$/

/**
 * Debugger ports for the workers: counted from the one that was asked for, the lowest that nobody has. (`node:cluster`
 * counts on with each fork, so that after some reloads nobody knows where to look.)
 */
export class DebugPorts {
  /** `undefined`: nobody wants to debug. 0: any. */
  readonly #base: number | undefined
  readonly #taken = new Set<number>()

  constructor(execArgv: readonly string[], own = url()) {
    const asked = execArgv.map((arg) => INSPECT.exec(arg)).filter((match) => match !== null)
    this.#base =
      asked.length === 0 ? undefined : Number(asked.map(([, port]) => port).find(Boolean) ?? DEFAULT)
    if (own !== undefined) this.#taken.add(Number(new URL(own).port))
  }

  take(): number | undefined {
    if (this.#base === undefined || this.#base === 0) return this.#base
    let port = this.#base
    while (this.#taken.has(port)) port++
    // Node refuses a higher one by an exception; 0 is any that is free.
    if (port > HIGHEST) return 0
    this.#taken.add(port)
    return port
  }

  release(port: number | undefined): void {
    if (port !== undefined) this.#taken.delete(port)
  }
}
