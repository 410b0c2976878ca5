import { existsSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Backoff, type Clock, misuse } from '@spillway/kit'
import { typescriptLoader } from '../worker/typescript.js'

/** A module with task functions, shared by all tasks that come from it. */
export class TaskModule {
  readonly href: string
  /** Href of the TypeScript loader that a thread needs for it; `undefined` for JavaScript. */
  readonly loader: string | undefined
  readonly #clock: Clock
  readonly #backoff = new Backoff({ first: 100, max: 30_000, jitter: 0 })
  #closedUntil = Number.NEGATIVE_INFINITY
  /** The error of its last failed load. */
  failure: unknown

  /**
   * @throws TypeError `ERR_OFFLOAD_MODULE` when it is neither a URL nor an absolute path
   * @throws Error `ERR_OFFLOAD_TYPESCRIPT` when it is TypeScript and nothing here can run it
   */
  constructor(href: string, clock: Clock) {
    this.href = href
    this.loader = /\.[mc]?ts$/.test(new URL(href).pathname) ? typescriptLoader(href) : undefined
    this.#clock = clock
  }

  /** Milliseconds until it may be loaded again after a failure; 0: now. */
  get closedFor(): number {
    return this.#backoff.failures === 0 ? 0 : Math.max(0, this.#closedUntil - this.#clock.now())
  }

  failed(error: unknown): void {
    this.failure = error
    this.#closedUntil = this.#clock.now() + this.#backoff.fail()
  }

  loaded(): void {
    this.#backoff.reset()
  }
}

/**
 * The href of a task module. A `.js` that does not exist beside a `.ts` that does means the latter: sources that run
 * uncompiled name what they will be compiled to.
 */
export function hrefOf(module: URL | string): string {
  const text = String(module)
  if (!(module instanceof URL) && !isAbsolute(text) && !/^(file|data|node):/.test(text)) {
    throw misuse(
      TypeError,
      'ERR_OFFLOAD_MODULE',
      `A task module must be a URL such as new URL('../tasks.js', import.meta.url), or an absolute path; not '${text}'`,
    )
  }
  const url = module instanceof URL || !isAbsolute(text) ? new URL(text) : pathToFileURL(text)
  if (url.protocol !== 'file:' || existsSync(url)) return url.href
  const source = new URL(url)
  source.pathname = url.pathname.replace(/\.([mc]?)js$/, '.$1ts')
  return existsSync(source) ? source.href : url.href
}
