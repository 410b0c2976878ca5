import { brand } from '@spillway/kit'

/** The loader did not settle within `loadTimeout`. Every waiter gets it; the key is free for the next caller. */
export class LoadTimeoutError extends Error {
  readonly code = 'ERR_CACHE_LOAD_TIMEOUT'
  /** Milliseconds the loader was given. */
  readonly timeout: number

  constructor(timeout: number) {
    super(`The loader did not settle within ${timeout} ms`)
    this.timeout = timeout
  }
}
brand(LoadTimeoutError, 'LoadTimeoutError')

/** A loader waits for its own result, directly or through other keys. `chain` names the keys in order. */
export class ReentrantLoadError extends Error {
  readonly code = 'ERR_CACHE_REENTRANT'
  readonly chain: readonly string[]

  constructor(chain: readonly string[]) {
    super(`A loader waits for itself: ${chain.join(' -> ')}`)
    this.chain = chain
  }
}
brand(ReentrantLoadError, 'ReentrantLoadError')

/** A value that a cache cannot hold: a function, a symbol, a class instance. The caller still gets the value. */
export class UncacheableValueError extends TypeError {
  readonly code = 'ERR_CACHE_VALUE'

  constructor(reason: string, cause?: unknown) {
    super(`The value cannot be cached: ${reason}`, cause === undefined ? undefined : { cause })
  }
}
brand(UncacheableValueError, 'UncacheableValueError')

/** The second tier did not answer in time, is not connected, or its breaker is open. Never reaches a caller. */
export class StoreUnavailableError extends Error {
  readonly code = 'ERR_CACHE_STORE'

  constructor(reason: string) {
    super(`The cache store is unavailable: ${reason}`)
  }
}
brand(StoreUnavailableError, 'StoreUnavailableError')

/** The cache was closed before the call. */
export class CacheClosedError extends Error {
  readonly code = 'ERR_CACHE_CLOSED'

  constructor() {
    super('The cache is closed')
  }
}
brand(CacheClosedError, 'CacheClosedError')
