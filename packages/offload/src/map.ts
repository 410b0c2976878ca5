import { defineOptions, having, integer, optional } from '@spillway/kit'
import type { CallOptions } from './jobs/call-options.js'

export interface MapOptions<Progress = unknown> extends Omit<CallOptions<Progress>, 'signal'> {
  /** Inputs in work at the same time. Default: the number of threads. */
  readonly concurrency?: number
  /** Stops the iteration and all work of it; rejects with its reason. */
  readonly signal?: AbortSignal | undefined
}

/** What mapping needs of an offloader. */
export interface MapTarget<Input, Output> {
  readonly concurrency: number
  run(input: Input, options: CallOptions<never>): Promise<Output>
  whenFree(options: { signal?: AbortSignal }): Promise<void>
}

const resolve = defineOptions('offload', 'map', {
  concurrency: integer({ min: 1 }),
  signal: optional(having<AbortSignal>('an AbortSignal', 'addEventListener', 'removeEventListener')),
})

/**
 * Results in the order of the inputs. Inputs are pulled only as results are taken: at most `concurrency` are in work
 * or waiting to be taken, and a full queue is waited for rather than refused. An error, or a consumer that stops, stops
 * the work that is under way and closes the source.
 */
export async function* mapTasks<Input, Output>(
  target: MapTarget<Input, Output>,
  inputs: Iterable<Input> | AsyncIterable<Input>,
  { concurrency: given, signal: outer, ...options }: MapOptions<never>,
): AsyncGenerator<Output, void, undefined> {
  const { concurrency, signal } = resolve({ concurrency: given ?? target.concurrency, signal: outer })
  const stop = new AbortController()
  const either = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal])
  const source = iteratorOf(inputs)
  const inWork: Promise<Output>[] = []
  let open = true
  try {
    for (;;) {
      while (open && inWork.length < concurrency) {
        await target.whenFree({ signal: either })
        const next = await source.next()
        if (next.done) open = false
        else {
          const result = target.run(next.value, { ...options, signal: either })
          // It is awaited in its turn; until then a rejection is not unhandled.
          result.catch(() => {})
          inWork.push(result)
        }
      }
      const first = inWork.shift()
      if (first === undefined) return
      yield await first
    }
  } finally {
    stop.abort(new DOMException('The iteration has ended', 'AbortError'))
    if (open) await source.return?.()
  }
}

function iteratorOf<T>(inputs: Iterable<T> | AsyncIterable<T>): AsyncIterator<T> | Iterator<T> {
  return Symbol.asyncIterator in inputs ? inputs[Symbol.asyncIterator]() : inputs[Symbol.iterator]()
}
