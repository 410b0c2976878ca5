import { type App, type AppOptions, eventually, isAlive, spawnApp } from '@spillway/testkit'
import { onTestFinished } from 'vitest'

/** Milliseconds. */
export const PATIENCE = 60_000

export interface Told {
  readonly type: string
  readonly [field: string]: any
}

export interface PrimaryOptions extends AppOptions {
  /** What runs test/fixtures/primary.mjs. Default: that itself. */
  readonly fixture?: string
}

/** A supervisor in a process of its own (test/fixtures/primary.mjs), and what it tells. */
export class Primary {
  readonly app: App
  #calls = 0

  constructor(options: object, { fixture = 'primary.mjs', ...appOptions }: PrimaryOptions) {
    this.app = spawnApp(new URL(`./fixtures/${fixture}`, import.meta.url), {
      ipc: true,
      args: [JSON.stringify(options)],
      ...appOptions,
    })
  }

  get events(): Told[] {
    return this.app.lines.filter(({ text }) => text.startsWith('{"type"')).map(({ text }) => JSON.parse(text))
  }

  of(type: string): Told[] {
    return this.events.filter((event) => event.type === type)
  }

  /** The first event that fits, past or to come. */
  until(type: string, fits: (event: Told) => boolean = () => true, timeout = PATIENCE): Promise<Told> {
    return this.#until(type, fits, timeout)
  }

  async #until(type: string, fits: (event: Told) => boolean, timeout: number): Promise<Told> {
    let found: Told | undefined
    await eventually(() => (found = this.of(type).find(fits)) !== undefined, {
      timeout,
      what: `a "${type}"`,
    }).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.app.output()}`)
    })
    return found as Told
  }

  /** The base URL of what it listens on. */
  async url(): Promise<string> {
    const { port } = await this.until('listening')
    return `http://127.0.0.1:${port}`
  }

  /** Calls a method of the supervisor. */
  async call<T = any>(call: string, ...args: unknown[]): Promise<T> {
    const id = ++this.#calls
    this.app.send({ id, call, args })
    const answer = await this.app.waitForMessage(
      (message): message is { id: number; result?: T; error?: string } =>
        (message as { id: number }).id === id,
      { timeout: PATIENCE },
    )
    if (answer.error !== undefined) throw new Error(answer.error)
    return answer.result as T
  }

  /** The pids of all workers it has ever forked that still run. */
  survivors(): number[] {
    return this.of('fork')
      .map(({ pid }) => pid as number)
      .filter(isAlive)
  }
}

/** Starts a supervisor; the test ends it and everything below it. */
export function primary(options: object = {}, appOptions: PrimaryOptions = {}): Primary {
  const started = new Primary({ workers: 2, ...options }, appOptions)
  onTestFinished(() => started.app[Symbol.asyncDispose]())
  return started
}

/** The supervisor with its first generation ready. */
export async function running(options: object = {}, appOptions: PrimaryOptions = {}): Promise<Primary> {
  const started = primary(options, appOptions)
  await started.until('started')
  return started
}

/** `eventually`, for what needs processes to start: the machine may be busy with other things. */
export function patiently<T>(check: () => Promise<T>): Promise<T> {
  return eventually(check, { timeout: PATIENCE })
}

/** Waits until so many workers are ready. */
export async function settled(supervisor: Primary, ready: number): Promise<void> {
  await patiently(async () => (await supervisor.call('stats')).ready === ready)
}

/** One request on a connection of its own; the body as text. */
export async function get(url: string): Promise<string> {
  const response = await fetch(url, { headers: { connection: 'close' } })
  return response.text()
}
