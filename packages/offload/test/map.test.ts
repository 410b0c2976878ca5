import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { describe, expect, it } from 'vitest'
import { cells, offloaderWith, rejection, task, until } from './support.js'

async function* numbers(count: number, onEnd: () => void = () => {}): AsyncGenerator<number> {
  try {
    for (let i = 0; i < count; i++) yield i
  } finally {
    onEnd()
  }
}

async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const value of values) all.push(value)
  return all
}

describe('map', () => {
  it('keeps the order of the inputs, from arrays and from async iterables', async () => {
    const offloader = offloaderWith({ threads: 2 })
    // The first ones take longest.
    const deaf = task(offloader, 'slowEcho')
    expect(await collect(deaf.map([30, 20, 10, 0]))).toEqual([30, 20, 10, 0])
    const echo = task<number, number>(offloader, 'echo')
    expect(await collect(offloader.map(numbers(50), echo, { concurrency: 8 }))).toEqual([...Array(50).keys()])
  })

  it('pulls no further ahead than its concurrency', async () => {
    const offloader = offloaderWith({ threads: 2 })
    let pulled = 0
    function* source() {
      for (;;) yield pulled++
    }
    const results = task(offloader, 'echo').map(source(), { concurrency: 3 })
    expect(await results.next()).toEqual({ value: 0, done: false })
    expect(pulled).toBeLessThanOrEqual(4)
    await results.return?.()
    expect(pulled).toBeLessThanOrEqual(4)
  })

  it('waits for room instead of being refused', async () => {
    const offloader = offloaderWith({ queue: 1 })
    const results = await collect(task(offloader, 'echo').map(Array(200).keys(), { concurrency: 32 }))
    expect(results).toEqual([...Array(200).keys()])
    expect(offloader.stats().calls.refused).toBe(0)
  })

  it('an error ends it, stops what runs and closes the source', async () => {
    const offloader = offloaderWith({ threads: 2, grace: '10s' })
    let ended = false
    const source = numbers(100, () => {
      ended = true
    })
    const error = await rejection(collect(task(offloader, 'failAt3').map(source, { concurrency: 2 })))
    expect(error).toMatchObject({ message: 'three' })
    expect(ended).toBe(true)
    await until(() => offloader.stats().threads.idle === offloader.stats().threads.alive, 'all is quiet')
  })

  it('a consumer that stops early stops the work', async () => {
    const offloader = offloaderWith({ threads: 2, grace: '10s' })
    for await (const value of task(offloader, 'sleepUnlessZero').map([0, 1, 2])) {
      expect(value).toBe(0)
      break
    }
    await until(() => offloader.stats().threads.idle === offloader.stats().threads.alive, 'all is quiet')
    expect(offloader.stats().calls.completed).toBe(1)
  })

  it('a signal ends it with its reason', async () => {
    const offloader = offloaderWith({ grace: '10s' })
    const controller = new AbortController()
    const counter = cells()
    const results = collect(
      task(offloader, 'spinPolitely').map([counter, counter], { signal: controller.signal }),
    )
    await until(() => Atomics.load(counter, 0) > 0, 'it runs')
    controller.abort(new Error('enough'))
    expect((await rejection(results)).message).toBe('enough')
  })

  it('stands in a stream pipeline, with back-pressure from its end', async () => {
    const offloader = offloaderWith({ threads: 2 })
    const written: number[] = []
    await pipeline(
      Readable.from(numbers(60)),
      (source: AsyncIterable<number>) => task<number, number>(offloader, 'echo').map(source),
      new Writable({
        objectMode: true,
        highWaterMark: 1,
        write(value: number, _encoding, done) {
          written.push(value)
          setImmediate(done)
        },
      }),
    )
    expect(written).toEqual([...Array(60).keys()])
  })
})
