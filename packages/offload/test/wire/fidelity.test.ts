import { AsyncLocalStorage } from 'node:async_hooks'
import { types } from 'node:util'
import { describe, expect, it } from 'vitest'
import { NotCloneableError, shared, ThrownValueError } from '../../src/index.js'
import { offloaderWith, rejection, task } from '../support.js'

class AppError extends Error {
  declare readonly code: string
  declare readonly statusCode: number
}

describe('errors', () => {
  it('O22: a registered class comes back as itself, with fields, cause and both stacks', async () => {
    const offloader = offloaderWith({ errors: [AppError] })
    async function theCaller(): Promise<unknown> {
      return await task(offloader, 'fail')()
    }
    const error = await rejection(theCaller())
    expect(error).toBeInstanceOf(AppError)
    expect(types.isNativeError(error)).toBe(true)
    expect(error).toMatchObject({
      name: 'Error',
      message: 'it failed',
      code: 'E_APP',
      statusCode: 418,
      detail: { field: 'name', seen: new Date(0) },
    })
    expect(error.cause).toBeInstanceOf(RangeError)
    expect(error.cause).toMatchObject({ message: 'too far', cause: 'text' })
    expect(error.stack).toContain('tasks.mjs')
    expect(error.stack).toContain('theCaller')
    expect(Object.keys(error)).not.toContain('stack')
    expect(error).not.toHaveProperty('retry')
  })

  it('O22: a class that is not registered keeps its name and fields', async () => {
    const error = await rejection(task(offloaderWith(), 'fail')())
    expect(error).toBeInstanceOf(Error)
    expect(error).not.toBeInstanceOf(AppError)
    expect(error).toMatchObject({ name: 'AppError', code: 'E_APP', message: 'it failed' })
  })

  it('O22: aggregates, DOM exceptions, names that were set, and cycles', async () => {
    const failWith = task(offloaderWith(), 'failWith')
    const aggregate = await rejection(failWith('aggregate'))
    expect(aggregate).toBeInstanceOf(AggregateError)
    expect(aggregate.errors[0]).toBeInstanceOf(TypeError)
    expect(aggregate.errors[1]).toMatchObject({ name: 'AppError', message: 'two', statusCode: 418 })
    const dom = await rejection(failWith('dom'))
    expect(dom).toBeInstanceOf(DOMException)
    expect(dom).toMatchObject({ name: 'NotFoundError', message: 'no' })
    expect(await rejection(failWith('named'))).toMatchObject({ name: 'TimeoutError', code: 'E_TIME' })
    expect(await rejection(failWith('cyclic'))).toMatchObject({
      message: 'round',
      cause: { message: 'round' },
    })
  })

  it('O23: what is thrown and no Error arrives as ThrownValueError', async () => {
    const failWith = task(offloaderWith(), 'failWith')
    for (const [kind, value] of [
      ['null', null],
      ['text', 'plain'],
    ] as const) {
      const error = await rejection(failWith(kind))
      expect(error).toBeInstanceOf(ThrownValueError)
      expect(error).toMatchObject({ code: 'ERR_OFFLOAD_THROWN', value })
    }
  })

  it('leaves the reason of the caller as it is', async () => {
    const reason = Object.freeze(new Error('mine'))
    const controller = new AbortController()
    const call = task(offloaderWith(), 'sleep')(60_000, { signal: controller.signal })
    controller.abort(reason)
    expect(await rejection(call)).toBe(reason)
  })

  it('a function that is not there is named, with those that are', async () => {
    const error = await rejection(task(offloaderWith(), 'nope')())
    expect(error).toBeInstanceOf(TypeError)
    expect(error).toMatchObject({ code: 'ERR_OFFLOAD_TASK' })
    expect(error.message).toMatch(/no function "nope"; it exports .*noop/)
  })
})

describe('values', () => {
  it.each([
    ['function', 'result'],
    ['symbol', 'result'],
    ['deep', 'result.a.list[1].b'],
    ['map', 'result.get("key").inner'],
    ['proxy', 'result'],
  ])('O24: a result that cannot be cloned (%s) is named, and the thread lives', async (kind, path) => {
    const offloader = offloaderWith()
    const error = await rejection(task(offloader, 'badResult')(kind))
    expect(error).toBeInstanceOf(NotCloneableError)
    expect(error).toBeInstanceOf(TypeError)
    expect(error).toMatchObject({ code: 'ERR_OFFLOAD_CLONE', side: 'result', path })
    expect(await task(offloader, 'echo')(1)).toBe(1)
    expect(offloader.stats().threads.started).toBe(1)
  })

  it.each([
    ['cold', false],
    ['warm', true],
  ])('O25: an input that cannot be cloned rejects (%s), and the next task runs', async (_, warm) => {
    const offloader = offloaderWith()
    if (warm) await offloader.warm()
    expect(await rejection(task(offloader, 'noop')(() => 1))).toMatchObject({
      code: 'ERR_OFFLOAD_CLONE',
      side: 'input',
      path: 'input',
    })
    const nested = await rejection(task(offloader, 'noop')({ list: [{ 'on-done': () => 1 }] }))
    expect(nested).toMatchObject({ path: 'input.list[0]["on-done"]' })
    expect(await task(offloader, 'echo')('next')).toBe('next')
    expect(offloader.stats().threads.started).toBe(1)
  })

  it('a first call that never reached the thread, or found no function, does not spoil the next', async () => {
    const offloader = offloaderWith()
    const echo = task(offloader, 'echo')
    expect(await rejection(echo(() => 1))).toMatchObject({ side: 'input' })
    expect(await echo('same function')).toBe('same function')
    const nope = task(offloader, 'nope')
    for (let i = 0; i < 2; i++) expect(await rejection(nope())).toMatchObject({ code: 'ERR_OFFLOAD_TASK' })
  })

  it('progress that cannot be cloned fails the task', async () => {
    expect(await rejection(task(offloaderWith(), 'badProgress')())).toMatchObject({
      code: 'ERR_OFFLOAD_CLONE',
      side: 'progress',
      path: 'progress.at',
    })
  })

  it('what structured clone knows arrives as it was', async () => {
    const value = {
      map: new Map([[1, new Set(['a'])]]),
      date: new Date(5),
      big: 10n,
      bytes: new Float64Array([1.5, 2.5]),
      pattern: /a+/g,
      nothing: undefined,
      error: new RangeError('data'),
    }
    expect(await task(offloaderWith(), 'echo')(value)).toEqual(value)
  })

  it('falsy results arrive', async () => {
    const echo = task(offloaderWith(), 'echo')
    for (const value of [0, '', false, null, undefined, Number.NaN]) expect(await echo(value)).toBe(value)
  })

  it('a view takes only its own bytes along, in both directions', async () => {
    const offloader = offloaderWith()
    const pooled = Buffer.from('abc')
    expect(pooled.buffer.byteLength).toBeGreaterThan(3)
    expect(await task(offloader, 'bufferBehind')(pooled)).toBe(3)
    const back = await task(offloader, 'pooledBuffer')()
    expect([back.byteLength, back.buffer.byteLength]).toEqual([3, 3])
  })
})

describe('transfer', () => {
  it('moves what is listed, and takes it from the caller', async () => {
    const bytes = new Uint8Array(1_000)
    expect(await task(offloaderWith(), 'transferredLength')(bytes, { transfer: [bytes.buffer] })).toBe(1_000)
    expect(bytes.byteLength).toBe(0)
  })

  it("'auto' moves every buffer that the input owns, and copies the others", async () => {
    const offloader = offloaderWith()
    const [own, part] = [new Uint8Array(10), new Uint8Array(10).subarray(2)]
    const echoed = await task(offloader, 'echo')({ own, part }, { transfer: 'auto' })
    expect([echoed.own.byteLength, echoed.part.byteLength]).toEqual([10, 8])
    expect([own.byteLength, part.byteLength]).toEqual([0, 8])
  })

  it('the task moves its result', async () => {
    expect(await task(offloaderWith(), 'makeBytes')(64)).toMatchObject({
      before: 64,
      bytes: { byteLength: 64 },
    })
  })

  it('an object that cannot be moved, or a buffer listed twice, rejects and harms nothing', async () => {
    const offloader = offloaderWith()
    const buffer = new ArrayBuffer(4)
    for (const transfer of [[buffer, buffer], [{} as ArrayBuffer]]) {
      expect(await rejection(task(offloader, 'noop')(1, { transfer }))).toMatchObject({
        code: 'ERR_OFFLOAD_CLONE',
        path: 'transfer',
      })
    }
    expect(await task(offloader, 'echo')(1)).toBe(1)
  })

  it('shared memory is shared: what the task writes is seen here', async () => {
    const bytes = shared(Uint8Array.of(1, 2, 3))
    await task(offloaderWith(), 'writeShared')(bytes)
    expect([...bytes]).toEqual([42, 2, 3])
  })
})

describe('context', () => {
  const store = new AsyncLocalStorage<string>()

  it('O27: is kept at the caller, after the call and in onProgress', async () => {
    const offloader = offloaderWith()
    const seen: unknown[] = []
    await Promise.all(
      ['a', 'b'].map((name) =>
        store.run(name, async () => {
          await task(offloader, 'progress')(2, { onProgress: () => seen.push(store.getStore()) })
          expect(store.getStore()).toBe(name)
        }),
      ),
    )
    expect(seen).toEqual(['a', 'a', 'b', 'b'])
  })

  it('O27: is carried into the thread, and restored there', async () => {
    const plain = offloaderWith({ context: { capture: () => store.getStore() } })
    expect(await store.run('trace-1', () => task(plain, 'carried')())).toBe('trace-1')
    expect(await task(plain, 'carried')()).toBeUndefined()
    const restore = new URL('../fixtures/restore.mjs', import.meta.url)
    const restoring = offloaderWith({ context: { capture: () => store.getStore(), restore } })
    expect(await store.run('trace-2', () => task(restoring, 'restored')())).toBe('trace-2')
  })
})

describe('progress', () => {
  it('arrives in order and before the result', async () => {
    const seen: unknown[] = []
    const result = await task(offloaderWith(), 'progress')(50, {
      onProgress: (progress: unknown) => seen.push(progress),
    })
    expect(seen).toEqual(Array.from({ length: 50 }, (_, i) => ({ step: i + 1 })))
    expect(result).toBe(50)
  })

  it('a listener that throws stops the task and rejects the call with its error', async () => {
    const offloader = offloaderWith({ grace: '10s' })
    const mistake = new Error('in the listener')
    const call = task(offloader, 'progressThenWait')(undefined, {
      onProgress: () => {
        throw mistake
      },
    })
    expect(await rejection(call)).toBe(mistake)
    expect(await task(offloader, 'echo')(1)).toBe(1)
    expect(offloader.stats().threads.started).toBe(1)
  })
})
