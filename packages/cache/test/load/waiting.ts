import type { CacheStore, Shards, Tier } from '../../src/index.js'

/** A promise and how to settle it. */
export interface Gate<T = void> {
  readonly promise: Promise<T>
  open(value: T): void
  fail(error: unknown): void
}

export function gate<T = void>(): Gate<T> {
  let open!: (value: T) => void
  let fail!: (error: unknown) => void
  const promise = new Promise<T>((resolve, reject) => {
    open = resolve
    fail = reject
  })
  promise.catch(() => {})
  return { promise, open, fail }
}

/** A loader that waits to be told what to return, and tells when it has begun. */
export function gatedLoader<T>() {
  const begun = gate()
  const value = gate<T>()
  const run = {
    runs: 0,
    begun: begun.promise,
    finish: value.open,
    fail: value.fail,
    load: async () => value.promise,
  }
  run.load = async () => {
    run.runs++
    begun.open()
    return value.promise
  }
  return run
}

/** A clock that moves when told to. */
export function manualClock(now = 1_700_000_000_000) {
  return {
    now: () => now,
    advance(milliseconds: number) {
      now += milliseconds
    },
  }
}

/** The tier of a store that has one, or its first. */
export function single(opened: Tier | Shards): Tier {
  return 'tiers' in opened ? opened.tiers[0]! : opened
}

/** A store whose operations a test can hold up, count and fail. */
export function tapped(store: CacheStore, before: (operation: string) => unknown): CacheStore {
  return {
    kind: store.kind,
    open(namespace) {
      const opened = store.open(namespace)
      return 'tiers' in opened
        ? { tiers: opened.tiers.map((tier) => tap(tier, before)), of: opened.of }
        : tap(opened, before)
    },
  }
}

function tap(tier: Tier, before: (operation: string) => unknown): Tier {
  return new Proxy(tier, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      if (name === 'listen' || name === 'now') return value.bind(target)
      return async (...args: unknown[]) => {
        await before(String(name))
        return Reflect.apply(value, target, args)
      }
    },
  })
}
