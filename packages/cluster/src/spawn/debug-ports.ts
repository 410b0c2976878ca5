import { url } from 'node:inspector'

/** The port that Node takes for `--inspect` without one. */
const DEFAULT = 9_229

const HIGHEST = 65_535

const INSPECT = /^--inspect(?:-brk|-wait|-port)?(?:=(?:.*:)?(\d+)|=.*)?$/

/**
 * Allocator of the workers' debugger ports: the lowest free port from the one in `--inspect` on. (`node:cluster` counts on with
 * each fork, so that after some reloads a developer does not know to which port to connect.)
 */
export class DebugPorts {
  /** `undefined`: no debugger was asked for. 0: any port. */
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
