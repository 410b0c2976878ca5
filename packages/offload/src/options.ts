import type { ResourceLimits } from 'node:worker_threads'
import {
  type Clock,
  type Duration,
  defineOptions,
  duration,
  either,
  func,
  having,
  integer,
  list,
  monotonicClock,
  nested,
  oneOf,
  optional,
  orFalse,
  type Size,
  size,
  string,
} from '@spillway/kit'

/** Which waiting task goes first. A lower priority catches up as it waits: see `ageing`. */
export type Priority = 'high' | 'normal' | 'low'
export const PRIORITIES = ['high', 'normal', 'low'] as const satisfies readonly Priority[]

/** An error class whose instances may be revived. Its constructor is not run. */
export interface ErrorClass {
  readonly name: string
  readonly prototype: Error
}

export interface OffloaderOptions {
  /**
   * Threads at most. A number is for this process. Default: `'auto'`, the CPUs the container allows divided by
   * `SPILLWAY_WORKERS`, less one for the event loop when that leaves more than two.
   */
  readonly threads?: number | 'auto'
  /** Threads that are kept when idle. Default: 0. */
  readonly minThreads?: number
  /** Tasks that may wait for a thread; more are refused with 503. `false`: no limit. Default: 1000. */
  readonly queue?: number | false
  /**
   * How long a task may wait for a thread: refused at once when the expected wait is longer, and refused later when
   * the real one is. `false`: for ever. Default: `'5s'`.
   */
  readonly maxWait?: Duration | false
  /** How long a task may run, from its start in the thread. Then it is stopped: 504. `false`: for ever. Default: `'30s'`. */
  readonly timeout?: Duration | false
  /** How long a cancelled task may take to end by itself before its thread is terminated. Default: `'50ms'`. */
  readonly grace?: Duration
  /** A task of a lower priority goes before those of the next higher one that come this much later. Default: `'1s'`. */
  readonly ageing?: Duration
  /** Threads that had nothing to do for so long end, down to `minThreads`. `false`: they stay. Default: `'30s'`. */
  readonly idle?: Duration | false
  /**
   * Memory of one thread: heap (V8's limit, which ends the thread) and, beside it, buffers outside the heap (checked
   * when a task ends and while it awaits). `false`: V8's default, buffers unlimited. Default: `false`.
   */
  readonly memory?: Size | false
  /** A thread is replaced after so many tasks. `false`: never. Default: `false`. */
  readonly recycleAfter?: number | false
  /** Error classes that tasks throw and callers want to see again (`instanceof`). Default: none beside the built-in ones. */
  readonly errors?: readonly ErrorClass[]
  /** Carries context (a trace, a request id) from the caller into the thread. Default: none. */
  readonly context?: ContextOptions
  /** When a task that keeps killing threads is refused. `false`: never. */
  readonly poison?: PoisonOptions | false
  /** How many threads may be started, so that a storm of crashes does not become a storm of starts. `false`: no limit. */
  readonly respawn?: RespawnOptions | false
  /** How long `close()` waits for tasks. Default: `'10s'`. */
  readonly closeTimeout?: Duration
  /** How long a thread may take to start. Default: `'30s'`. */
  readonly bootTimeout?: Duration
  /** V8 limits of each thread, in MB, as `worker_threads` takes them. They go before `memory`. Default: none. */
  readonly resourceLimits?: ResourceLimits
  /** Node flags of each thread. Default: those of the process. */
  readonly execArgv?: readonly string[]
  /** Environment of each thread. Default: a copy of the process's. */
  readonly env?: NodeJS.ProcessEnv
  /** Where time comes from. Default: the monotonic clock. */
  readonly clock?: Clock
}

export interface ContextOptions {
  /** Called at each call of a task, in the caller's context. What it returns must be cloneable; `undefined`: nothing. */
  readonly capture: () => unknown
  /** Module whose default export `(carried, run) => run()` enters the context in the thread. Default: only `context.carried`. */
  readonly restore?: URL | string
}

export interface PoisonOptions {
  /** Threads a task may kill within `within`, as long as that is less than half of its runs there. Default: 3. */
  readonly deaths?: number
  /** Default: `'1m'`. */
  readonly within?: Duration
  /** How long it is refused, before one call is let through to see. Default: `'30s'`. */
  readonly cooldown?: Duration
}

export interface RespawnOptions {
  /** Threads that may start at once. Default: 16. */
  readonly burst?: number
  /** Threads that may start per minute in the long run. Default: 120. */
  readonly perMinute?: number
}

export const POISON_DEFAULTS = Object.freeze({ deaths: 3, within: '1m', cooldown: '30s' })
export const RESPAWN_DEFAULTS = Object.freeze({ burst: 16, perMinute: 120 })

export const DEFAULTS = Object.freeze({
  threads: 'auto',
  minThreads: 0,
  queue: 1000,
  maxWait: '5s',
  timeout: '30s',
  grace: '50ms',
  ageing: '1s',
  idle: '30s',
  memory: false,
  recycleAfter: false,
  errors: Object.freeze([]),
  poison: POISON_DEFAULTS,
  respawn: RESPAWN_DEFAULTS,
  closeTimeout: '10s',
  bootTimeout: '30s',
  clock: monotonicClock,
} satisfies OffloaderOptions)

const MB = 1024 ** 2

export const resolveOptions = defineOptions(
  'offload',
  'Offloader',
  {
    threads: either(oneOf('auto'), integer({ min: 1 })),
    minThreads: integer({ min: 0 }),
    queue: orFalse(integer({ min: 0 })),
    maxWait: orFalse(duration({ min: 1 })),
    timeout: orFalse(duration({ min: 1 })),
    grace: duration(),
    ageing: duration({ min: 1 }),
    idle: orFalse(duration({ min: 1 })),
    memory: orFalse(size({ min: 16 * MB })),
    recycleAfter: orFalse(integer({ min: 1 })),
    errors: list(having<ErrorClass>('an error class')),
    context: optional(
      nested({ capture: func<() => unknown>(), restore: optional(either(string(), having<URL>('a URL'))) }),
    ),
    poison: orFalse(
      nested(
        { deaths: integer({ min: 1 }), within: duration({ min: 1 }), cooldown: duration({ min: 1 }) },
        POISON_DEFAULTS,
      ),
    ),
    respawn: orFalse(
      nested({ burst: integer({ min: 1 }), perMinute: integer({ min: 1 }) }, RESPAWN_DEFAULTS),
    ),
    closeTimeout: duration(),
    bootTimeout: duration({ min: 1 }),
    resourceLimits: optional(having<ResourceLimits>('an object of limits in MB')),
    execArgv: optional(list(string())),
    env: optional(having<NodeJS.ProcessEnv>('an object of strings')),
    clock: having<Clock>('a clock', 'now'),
  },
  DEFAULTS,
)

export type OffloaderSettings = ReturnType<typeof resolveOptions>

/** What holds for every call of a task, unless the call says otherwise. */
export interface TaskOptions {
  /** Default: the offloader's. */
  readonly timeout?: Duration | false
  /** Default: the offloader's. */
  readonly maxWait?: Duration | false
  /** Default: `'normal'`. */
  readonly priority?: Priority
  /** How many of this task may run at the same time. `false`: as many as there are threads. Default: `false`. */
  readonly concurrency?: number | false
  /**
   * Whether its thread may be terminated when it does not listen to cancellation. `false` is for native code that
   * crashes the process when it is torn down; its thread then stays taken until it ends. Default: `true`.
   */
  readonly terminable?: boolean
  /**
   * Whether a call may be run again from the beginning, twice at most, when its thread was lost by the fault of another
   * call. Progress may then be reported twice. Default: `false`, the call rejects with `ERR_OFFLOAD_COLLATERAL`.
   */
  readonly idempotent?: boolean
}

export const resolveTaskOptions = defineOptions(
  'offload',
  'task',
  {
    timeout: optional(orFalse(duration({ min: 1 }))),
    maxWait: optional(orFalse(duration({ min: 1 }))),
    priority: oneOf(...PRIORITIES),
    concurrency: orFalse(integer({ min: 1 })),
    terminable: oneOf(true, false),
    idempotent: oneOf(true, false),
  },
  { priority: 'normal', concurrency: false, terminable: true, idempotent: false },
)
