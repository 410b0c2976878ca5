import {
  anything,
  boolean,
  type Check,
  type Clock,
  type Duration,
  defineOptions,
  duration,
  either,
  func,
  having,
  integer,
  list,
  MAX_TIMER,
  monotonicClock,
  nested,
  number,
  oneOf,
  optional,
  orFalse,
  type Size,
  size,
  string,
} from '@spillway/kit'

type Env = Readonly<Record<string, string | undefined>>

/** How workers end at a reload and at a stop. */
export interface DrainOptions {
  /** How long a worker may take to finish what it has; then it is cut off and killed. Default: `'30s'`. */
  readonly timeout?: Duration
  /**
   * Before a stop of the whole service (not before a reload): how long readiness answers 503 while everything is still
   * served, so that load balancers look elsewhere first. Default: `0`.
   */
  readonly delay?: Duration
  /**
   * After the drain, the app's own listeners of this signal are called, as if the process had got it; apps that come from
   * PM2 expect `'SIGINT'`. Where the app listens to the other one only, it gets that. `false`: none. Default: `'SIGTERM'`.
   */
  readonly signal?: 'SIGTERM' | 'SIGINT' | false
  /**
   * How long each step of the app's clean-up may take: the listeners of `signal`, each entry of `serve({ close: [...] })`,
   * then the `disconnect` and the `beforeExit` listeners. Default: `'5s'`.
   */
  readonly cleanUp?: Duration
}

/** How fast crashed workers come back. */
export interface RestartPolicyOptions {
  /** Crashes within the window before the supervisor is degraded. Default: `'auto'`, 10 or twice the workers. */
  readonly max?: number | 'auto'
  /** The window in which crashes are counted. Default: `'1m'`. */
  readonly within?: Duration
  /** Wait before the second restart in a row; doubles each time. The first is immediate. Default: `'200ms'`. */
  readonly backoff?: Duration
  /** The longest wait, also of a degraded supervisor. Default: `'15s'`. */
  readonly maxBackoff?: Duration
  /** A worker that lived so long starts a new row when it crashes. Default: `'10s'`. */
  readonly stableAfter?: Duration
}

/** When a worker counts as hung. */
export interface HeartbeatOptions {
  /** How often a worker says that its event loop turns, with its load. Default: `'1s'`. */
  readonly interval?: Duration
  /** A ready worker that was silent for so long is killed and replaced. Default: `'10s'`. */
  readonly deadline?: Duration
}

/** When to add and to remove workers. */
export interface AutoscaleOptions {
  /** Default: `1`. */
  readonly min?: number
  /** Default: the available CPUs. */
  readonly max?: number
  /** Add a worker when the mean event-loop utilisation of the workers stays above this share. Default: `0.7`. */
  readonly up?: number
  /** Remove a worker when the mean utilisation stays below this share, and the others can take over its load. Default: `0.4`. */
  readonly down?: number
  /** How long it must stay above before one is added. Default: `'5s'`. */
  readonly upAfter?: Duration
  /** How long it must stay below before one is removed. Default: `'60s'`. */
  readonly downAfter?: Duration
}

/** Where the sticky listener of the supervisor listens. */
export interface StickyOptions {
  readonly port: number
  /** Default: every interface. */
  readonly host?: string
}

/** Where the output of the workers goes, and in which form. */
export interface LogOptions {
  /** A file to append to; opened again on `reopenLogs()`. Default: the supervisor's own stdout and stderr. */
  readonly file?: string
  /** `'prefix'`: `web.1 | text`. `'json'`: one object per line. Default: `'prefix'`. */
  readonly format?: 'prefix' | 'json'
  /** Bytes held for a reader (or disk) that does not keep up; what comes beyond is dropped and counted. Default: `'4mb'`. */
  readonly buffer?: Size
}

/** Options of {@link Supervisor}. */
export interface SupervisorOptions {
  /** The workers' entry: ESM, CJS, or TypeScript with the right `execArgv`. Default: the running script. */
  readonly exec?: string | URL
  /** Instead of `exec`: the workers run the same script, and `start()` calls this there. */
  readonly app?: () => unknown
  /** Arguments of the workers. Default: the supervisor's own. */
  readonly args?: readonly string[]
  /** Node's arguments for the workers, such as `['--import', 'tsx']`. Default: the supervisor's own. */
  readonly execArgv?: readonly string[]
  /** Added to the supervisor's environment for the workers; a function is asked again at each reload. Default: nothing. */
  readonly env?: Env | (() => Env)
  /** The workers' directory, resolved again for each one: a link that a deployment moves. Default: the supervisor's. */
  readonly cwd?: string
  /** A name for logs, the CLI and the control socket. Default: `'app'`. */
  readonly name?: string
  /** How many; `'auto'`: the CPUs this container may use (quota rounded up). Default: `'auto'`. */
  readonly workers?: number | 'auto'
  /** Checked to be free before anything is forked, and given to the workers as `PORT`. Default: not checked. */
  readonly port?: number
  /** A worker is ready when it calls `ready()`, or `process.send('ready')` as for PM2, not when it listens. Default: `false`. */
  readonly waitForReady?: boolean
  /**
   * A worker that has drained gets the message `'shutdown'`, as from PM2, and five seconds to clean up and exit by
   * itself. Not needed with `serve({ close: [...] })`. Default: `false`.
   */
  readonly shutdownMessage?: boolean
  /** A worker that is not ready by then has failed. Default: `'30s'`. */
  readonly startTimeout?: Duration
  /**
   * How long a replacement that listens may take to listen on every port of its predecessor. After that it counts as ready
   * all the same, and a `missing` event names the ports. Default: `'10s'`.
   */
  readonly settleTimeout?: Duration
  /** How many extra workers may run during a reload. Default: `1`. */
  readonly surge?: number
  readonly drain?: DrainOptions
  readonly restarts?: RestartPolicyOptions
  /** `false`: hung workers are not noticed. */
  readonly heartbeat?: HeartbeatOptions | false
  /** A thread in each worker that finds out where it hangs and outlives a hang when the primary is gone. Default: `true`. */
  readonly watchdog?: boolean
  /** Servers that the app opens without `serve()` are drained as well. Default: `true`. */
  readonly adopt?: boolean
  /** Replace a worker whose resident memory stays above this size. Default: `false`. */
  readonly maxRss?: Size | false
  /** Replace a worker whose used heap stays above this size. Default: `false`. */
  readonly maxHeap?: Size | false
  /** Replace a worker of this age (up to a tenth earlier, so that they do not all go at once). Default: `false`. */
  readonly maxAge?: Duration | false
  /** Replace a worker after so many requests (up to a tenth earlier). Default: `false`. */
  readonly maxRequests?: number | false
  readonly autoscale?: AutoscaleOptions | false
  /** The supervisor listens and gives connections of one address to one worker. Default: `false`. */
  readonly sticky?: StickyOptions | false
  /** Take the workers' output line by line. `false`: they write to our stdout and stderr themselves. Default: `false`. */
  readonly logs?: LogOptions | boolean
  /** A control socket for the CLI (owner only): `true` where the CLI looks for this name, or its path. Default: `false`. */
  readonly control?: string | boolean
  /**
   * Handle SIGTERM and SIGINT (stop; a second one forces), SIGHUP and SIGUSR2 (reload) and, with a log file, SIGUSR1
   * (open it again). A stop by signal ends the process. Default: `true`.
   */
  readonly signals?: boolean
  /** Runs when the workers are gone, before a stop by signal ends the process. Default: nothing. */
  readonly beforeExit?: () => unknown
  readonly clock?: Clock
}

/** Beyond this, a number of workers is a mistake. */
export const MOST_WORKERS = 1_024

/** Defaults of `drain`. Milliseconds. */
export const DRAIN_DEFAULTS = Object.freeze({
  timeout: 30_000,
  delay: 0,
  signal: 'SIGTERM',
  cleanUp: 5_000,
})

/** Defaults of `restarts`. Milliseconds. */
export const RESTART_DEFAULTS = Object.freeze({
  max: 'auto',
  within: 60_000,
  backoff: 200,
  maxBackoff: 15_000,
  stableAfter: 10_000,
})

/** Defaults of `heartbeat`. Milliseconds. */
export const HEARTBEAT_DEFAULTS = Object.freeze({ interval: 1_000, deadline: 10_000 })

/** Defaults of `autoscale`. Utilisation as a share, times in milliseconds. */
export const AUTOSCALE_DEFAULTS = Object.freeze({
  min: 1,
  up: 0.7,
  down: 0.4,
  upAfter: 5_000,
  downAfter: 60_000,
})

/** Defaults of `logs`. Bytes. */
export const LOG_DEFAULTS = Object.freeze({ format: 'prefix' as const, buffer: 4 * 1024 ** 2 })

/** Defaults of the other options. Milliseconds. */
export const SUPERVISOR_DEFAULTS = Object.freeze({
  name: 'app',
  workers: 'auto',
  waitForReady: false,
  shutdownMessage: false,
  startTimeout: 30_000,
  settleTimeout: 10_000,
  surge: 1,
  drain: DRAIN_DEFAULTS,
  restarts: RESTART_DEFAULTS,
  heartbeat: HEARTBEAT_DEFAULTS,
  watchdog: true,
  adopt: true,
  maxRss: false,
  maxHeap: false,
  maxAge: false,
  maxRequests: false,
  autoscale: false,
  sticky: false,
  logs: false,
  control: false,
  signals: true,
  clock: monotonicClock,
})

const port = integer({ min: 0, max: 65_535 })
const autoOr = (check: Check<number>): Check<'auto' | number> => either(oneOf('auto'), check)
const env = either(func<() => Env>(), having<Env>('an object of strings'))

/** Checks the options and fills in the defaults. @throws TypeError | RangeError `ERR_CLUSTER_OPTION` */
export const resolveSupervisorOptions = defineOptions(
  'cluster',
  'Supervisor',
  {
    exec: optional(either(having<URL>('a file URL', 'toJSON'), string())),
    app: optional(func<() => unknown>()),
    args: optional(list(anything as Check<string>)),
    execArgv: optional(list(string())),
    env: optional(env),
    cwd: optional(string()),
    name: string({ pattern: /^[\w.-]{1,60}$/, like: 'up to 60 letters, digits, ".", "_" or "-"' }),
    workers: autoOr(integer({ min: 1, max: MOST_WORKERS })),
    port: optional(port),
    waitForReady: boolean,
    shutdownMessage: boolean,
    startTimeout: duration({ min: 1 }),
    settleTimeout: duration(),
    surge: integer({ min: 1 }),
    drain: nested(
      {
        timeout: duration({ max: MAX_TIMER }),
        delay: duration({ max: MAX_TIMER }),
        signal: orFalse(oneOf('SIGTERM', 'SIGINT')),
        cleanUp: duration({ min: 1 }),
      },
      DRAIN_DEFAULTS,
    ),
    restarts: nested(
      {
        max: autoOr(integer({ min: 0 })),
        within: duration({ min: 1 }),
        backoff: duration(),
        maxBackoff: duration(),
        stableAfter: duration(),
      },
      RESTART_DEFAULTS,
    ),
    heartbeat: orFalse(
      nested({ interval: duration({ min: 20 }), deadline: duration({ min: 60 }) }, HEARTBEAT_DEFAULTS),
    ),
    watchdog: boolean,
    adopt: boolean,
    maxRss: orFalse(size({ min: 1 })),
    maxHeap: orFalse(size({ min: 1 })),
    maxAge: orFalse(duration({ min: 1 })),
    maxRequests: orFalse(integer({ min: 1 })),
    autoscale: orFalse(
      nested(
        {
          min: integer({ min: 1, max: MOST_WORKERS }),
          max: optional(integer({ min: 1, max: MOST_WORKERS })),
          up: number({ min: 0, max: 1 }),
          down: number({ min: 0, max: 1 }),
          upAfter: duration(),
          downAfter: duration(),
        },
        AUTOSCALE_DEFAULTS,
      ),
    ),
    sticky: orFalse(nested({ port, host: optional(string()) })),
    logs: either(
      boolean,
      nested(
        { file: optional(string()), format: oneOf('prefix', 'json'), buffer: size({ min: 1_024 }) },
        LOG_DEFAULTS,
      ),
    ),
    control: either(boolean, string()),
    signals: boolean,
    beforeExit: optional(func<() => unknown>()),
    clock: having<Clock>('a clock', 'now'),
  },
  SUPERVISOR_DEFAULTS,
)

/** The options with their defaults: durations in milliseconds, sizes in bytes. */
export type ResolvedSupervisorOptions = ReturnType<typeof resolveSupervisorOptions>
