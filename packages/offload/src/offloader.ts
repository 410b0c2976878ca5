import { type CloseOptions, closeOnce, DeadlineHeap, drainWithin } from '@spillway/kit'
import { type CallOptions, defaultCall, limit, resolveCall } from './jobs/call-options.js'
import { InlineTasks } from './jobs/inline-tasks.js'
import { JobQueue } from './jobs/job-queue.js'
import { Lane } from './jobs/lane.js'
import { PoisonWatch } from './jobs/poison-watch.js'
import { TaskDefinition, type TaskFunction } from './jobs/task-definition.js'
import { hrefOf, TaskModule } from './jobs/task-module.js'
import { TaskRunStatsRegistry } from './jobs/task-run-stats.js'
import { type MapOptions, mapTasks } from './map.js'
import {
  type OffloaderOptions,
  type OffloaderSettings,
  resolveOptions,
  resolveTaskOptions,
  type TaskOptions,
} from './options.js'
import { Admission } from './scheduling/admission.js'
import { CapacityQueue } from './scheduling/capacity-queue.js'
import { Dispatcher } from './scheduling/dispatcher.js'
import { RunStats } from './scheduling/run-stats.js'
import { Scheduler } from './scheduling/scheduler.js'
import { Settlement } from './scheduling/settlement.js'
import { bootError, joinStacks } from './scheduling/task-errors.js'
import { automaticThreads } from './sizing.js'
import { type OffloaderStats, snapshot } from './stats.js'
import type { Task, TaskName, TaskOf, TasksOf } from './task.js'
import { ThreadPool } from './threads/thread-pool.js'
import { workerFile } from './threads/worker-file.js'
import { sourceOf } from './worker/inline-source.js'

/**
 * Thread pool for CPU work: runs functions of your modules in a bounded number of worker threads.
 *
 * ```ts
 * const offloader = new Offloader({ threads: 'auto' })
 * const resize = offloader.task<typeof import('./resize.js')>(new URL('./resize.js', import.meta.url), 'resize')
 * const thumbnail = await resize(image, { signal, timeout: '2s' })
 * ```
 *
 * The first call starts the first thread. Only running and waiting tasks keep the process alive.
 */
export class Offloader implements AsyncDisposable {
  /** Most threads that it may have. */
  readonly threads: number
  readonly #settings: OffloaderSettings
  readonly #admission: Admission
  readonly #runs: RunStats
  readonly #scheduler: Scheduler
  readonly #pool: ThreadPool
  readonly #queue: JobQueue
  readonly #deadlines: DeadlineHeap
  readonly #capacityQueue: CapacityQueue
  readonly #settlement: Settlement
  readonly #modules = new Map<string, TaskModule>()
  readonly #taskRuns: TaskRunStatsRegistry
  readonly #openLane = new Lane()
  /** The task of any inline function, where its source does not matter. */
  readonly #inline: TaskDefinition
  readonly #inlineTasks: InlineTasks
  readonly #startedAt: number
  #lastTask = 0

  /**
   * @throws TypeError | RangeError `ERR_OFFLOAD_OPTION`
   * @throws Error `ERR_OFFLOAD_WORKER_FILE` when a bundler has moved the package away from the script of its threads
   */
  constructor(options: OffloaderOptions = {}) {
    const settings = resolveOptions(options)
    workerFile()
    this.#settings = settings
    this.threads = settings.threads === 'auto' ? automaticThreads() : settings.threads
    this.#startedAt = settings.clock.now()
    this.#deadlines = new DeadlineHeap(settings.clock)
    this.#queue = new JobQueue(settings.ageing)
    this.#capacityQueue = new CapacityQueue(() => this.capacity)
    this.#runs = new RunStats(settings.clock)
    this.#settlement = new Settlement(this.#deadlines, this.#runs)
    const { poison, clock } = settings
    const watch = () => (poison === false ? undefined : new PoisonWatch(clock, poison))
    this.#taskRuns = new TaskRunStatsRegistry(watch)
    this.#pool = new ThreadPool(
      {
        ...settings,
        max: this.threads,
        min: settings.minThreads,
        idle: limit(settings.idle),
        recycleAfter: limit(settings.recycleAfter),
        memory: settings.memory || 0,
        resourceLimits: settings.resourceLimits ?? heapLimit(settings.memory),
        restore: settings.context?.restore === undefined ? undefined : hrefOf(settings.context.restore),
      },
      this.#deadlines,
    )
    const places = { threads: this.threads, queueLimit: limit(settings.queue) }
    this.#admission = new Admission(places, this.#queue, this.#pool, this.#runs)
    const dispatcher = new Dispatcher({
      admission: this.#admission,
      queue: this.#queue,
      pool: this.#pool,
      deadlines: this.#deadlines,
      runs: this.#runs,
      settlement: this.#settlement,
      clock,
    })
    this.#scheduler = new Scheduler(
      {
        errors: new Map(settings.errors.map((errorClass) => [errorClass.name, errorClass])),
        capture: settings.context?.capture,
        clock,
      },
      {
        admission: this.#admission,
        queue: this.#queue,
        pool: this.#pool,
        dispatcher,
        settlement: this.#settlement,
        capacityQueue: this.#capacityQueue,
        runs: this.#runs,
      },
    )
    this.#pool.listen(this.#scheduler)
    const inline = this.#define({ id: 0, name: 'inline', module: undefined }, {})
    this.#inline = inline
    this.#inlineTasks = new InlineTasks(
      () => new TaskDefinition(inline, inline.rules, inline.lane, inline.runs, watch()),
    )
    this.#pool.growTo(settings.minThreads)
  }

  /**
   * A function of a module as a task. The module is imported in the thread, at the first call there. It may be an ES
   * module, CommonJS, or TypeScript (by tsx where it is installed, else by Node where it can). Write the URL in place, as
   * `new URL('./tasks.js', import.meta.url)`, so that bundlers see it.
   *
   * TypeScript infers all type arguments or none: for a module with several functions take {@link tasks}, or name the
   * function in the type as well (`task<typeof import('./tasks.js'), 'resize'>(url, 'resize')`), to get its own types.
   *
   * @throws TypeError `ERR_OFFLOAD_MODULE` when the module is neither a URL nor an absolute path
   * @throws Error `ERR_OFFLOAD_TYPESCRIPT` when it is TypeScript and nothing here runs that
   */
  task<Module, Name extends TaskName<Module> = TaskName<Module>>(
    module: URL | string,
    name: Name,
    options: TaskOptions = {},
  ): TaskOf<Module[Name]> {
    const href = hrefOf(module)
    let shared = this.#modules.get(href)
    if (shared === undefined) {
      shared = new TaskModule(href, this.#settings.clock)
      this.#modules.set(href, shared)
    }
    const definition = this.#define({ id: ++this.#lastTask, name, module: shared }, options)
    return this.#callable(definition) as TaskOf<Module[Name]>
  }

  /**
   * All functions of a module as tasks, each with its own types. A task is made when it is first read.
   *
   * ```ts
   * const { resize, crop } = offloader.tasks<typeof import('./images.js')>(new URL('./images.js', import.meta.url))
   * ```
   *
   * @throws as {@link task} does
   */
  tasks<Module>(module: URL | string, options: TaskOptions = {}): TasksOf<Module> {
    const href = hrefOf(module)
    const made = new Map<string, unknown>()
    const read = (_: object, name: string | symbol): unknown => {
      // A record of tasks is no promise: `await` and dynamic `import` ask for `then`.
      if (typeof name === 'symbol' || name === 'then') return undefined
      if (!made.has(name)) made.set(name, this.task<Record<string, () => unknown>>(href, name, options))
      return made.get(name)
    }
    return new Proxy({}, { get: read }) as TasksOf<Module>
  }

  /**
   * Runs a small pure function in a thread. Only its source crosses: everything it uses must be an argument or a global.
   *
   * @throws TypeError `ERR_OFFLOAD_INLINE` (as a rejection) when it has no source, is a method, or captures scope
   */
  async runInline<Args extends readonly unknown[], Output>(
    inline: (...args: Args) => Output,
    ...args: Args
  ): Promise<Awaited<Output>> {
    const source = sourceOf(inline)
    const task = this.#inlineTasks.of(source)
    try {
      return (await this.#scheduler.submit(task, { source, args }, defaultCall(task))) as Awaited<Output>
    } catch (error) {
      joinStacks(error, this.runInline)
      throw error
    }
  }

  /** Runs a task for each input, a few at a time, and yields the results in order. Ending the iteration stops the work. */
  map<Input, Output, Progress>(
    inputs: Iterable<Input> | AsyncIterable<Input>,
    task: Task<Input, Output, Progress>,
    options: MapOptions<Progress> = {},
  ): AsyncIterableIterator<Output> {
    return task.map(inputs, options)
  }

  /** How many more calls would be accepted now: free threads and free places in the queue. */
  get capacity(): number {
    return this.#admission.capacity
  }

  /** Whether a producer should wait, as with a full stream: {@link capacity} is 0. Then await {@link whenFree}. */
  get needsDrain(): boolean {
    return this.capacity === 0
  }

  /** Resolves when there is room for a call, in the order of the waiting callers. Rejects with `signal.reason`. */
  whenFree({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    return this.#capacityQueue.wait(signal)
  }

  /** Starts threads before the first calls, and resolves when they are ready. Default: all threads. */
  async warm(threads: number = this.threads): Promise<void> {
    this.#pool.growTo(threads)
    await this.#pool.booted()
    if (this.#pool.bootFailure !== undefined) throw bootError(this.#inline, this.#pool.bootFailure)
  }

  stats(): OffloaderStats {
    return snapshot({
      threads: this.threads,
      pool: this.#pool,
      waiting: this.#admission.waiting,
      runs: this.#runs,
      queueLimit: limit(this.#settings.queue),
      expectedWait: this.#admission.expectedWait(this.#inline),
      uptime: this.#settings.clock.now() - this.#startedAt,
      taskRuns: this.#taskRuns,
    })
  }

  /**
   * Refuses new calls with `ERR_OFFLOAD_CLOSED`, lets the waiting and running ones finish within `timeout` (default:
   * `closeTimeout`), rejects the rest, and ends all threads. A thread that is in native code cannot be ended; it no longer
   * keeps the process alive.
   */
  readonly close: (options?: CloseOptions) => Promise<void> = closeOnce(async (options) => {
    this.#admission.closed = true
    this.#capacityQueue.close()
    await drainWithin(this.#settlement.drained(), options, this.#settings.closeTimeout)
    this.#scheduler.abandon()
    await this.#pool.close()
    this.#deadlines.clear()
  });

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #callable(definition: TaskDefinition): Task<unknown, unknown> {
    const scheduler = this.#scheduler
    const standard = defaultCall(definition)
    const run = async (input?: unknown, options?: CallOptions<never>): Promise<unknown> => {
      try {
        return await scheduler.submit(
          definition,
          input,
          options === undefined ? standard : resolveCall(definition, input, options),
        )
      } catch (error) {
        joinStacks(error, run)
        throw error
      }
    }
    const target = {
      concurrency: this.threads,
      run,
      whenFree: (options: { signal?: AbortSignal }) => this.whenFree(options),
    }
    const map = (inputs: Iterable<unknown> | AsyncIterable<unknown>, options: MapOptions<never> = {}) =>
      mapTasks(target, inputs, options)
    Object.defineProperty(run, 'name', { value: definition.label })
    return Object.assign(run, { map })
  }

  #define(origin: TaskFunction, options: TaskOptions): TaskDefinition {
    const own = resolveTaskOptions(options)
    const { timeout, maxWait } = this.#settings
    const rules = {
      priority: own.priority,
      timeout: limit(own.timeout, limit(timeout)),
      maxWait: limit(own.maxWait, limit(maxWait)),
      terminable: own.terminable,
      idempotent: own.idempotent,
    }
    const lane = own.concurrency === false ? this.#openLane : new Lane(own.concurrency)
    const taskRuns = this.#taskRuns.of(origin.module?.href ?? '', origin.name)
    return new TaskDefinition(origin, rules, lane, taskRuns, taskRuns.poison)
  }
}

const MB = 1024 ** 2

function heapLimit(memory: number | false): { maxOldGenerationSizeMb: number } | undefined {
  return memory === false ? undefined : { maxOldGenerationSizeMb: Math.floor(memory / MB) }
}
