import { describe, expectTypeOf, it } from 'vitest'
import type { offload as offloadExpress } from '../src/express.js'
import type { offload as offloadFastify } from '../src/fastify.js'
import type {
  CallOptions,
  Offloader,
  OffloaderOptions,
  Task,
  TaskContext,
  TaskName,
  TasksOf,
} from '../src/index.js'
import type { offload as offloadKoa } from '../src/koa.js'
import type { ReadyTasks } from '../src/tasks.js'

type Typed = typeof import('./fixtures/typed.js')

/** Never run: only its types count. */
function types(check: (offloader: Offloader) => void): void {
  expectTypeOf(check).toBeFunction()
}

describe('the types', () => {
  it('of a task are those of its function', () => {
    types((offloader) => {
      const area = offloader.task<Typed, 'area'>(new URL('x:'), 'area')
      expectTypeOf(area).parameter(0).toEqualTypeOf<{ width: number; height: number }>()
      expectTypeOf(area).returns.toEqualTypeOf<Promise<string>>()
      expectTypeOf(area).parameter(1).toEqualTypeOf<CallOptions<{ done: number }> | undefined>()
      expectTypeOf(area.map).returns.toEqualTypeOf<AsyncIterableIterator<string>>()
    })
  })

  it('of all tasks of a module, by name, without what cannot be one', () => {
    expectTypeOf<TaskName<Typed>>().toEqualTypeOf<'area' | 'now' | 'greet'>()
    expectTypeOf<keyof TasksOf<Typed>>().toEqualTypeOf<'area' | 'now' | 'greet'>()
    expectTypeOf<TasksOf<Typed>['now']>().returns.toEqualTypeOf<Promise<number>>()
    expectTypeOf<'notATask'>().not.toExtend<TaskName<Typed>>()
  })

  it('an input is as optional as in the function', () => {
    expectTypeOf<Parameters<TasksOf<Typed>['greet']>>().toEqualTypeOf<
      [input?: string | undefined, options?: CallOptions<unknown>]
    >()
    expectTypeOf<[]>().toExtend<Parameters<TasksOf<Typed>['now']>>()
    expectTypeOf<[]>().not.toExtend<Parameters<TasksOf<Typed>['area']>>()
  })

  it('of one call: signal, durations, transfer and progress', () => {
    expectTypeOf<{ signal: AbortSignal; timeout: '2s'; deadline: 500 }>().toExtend<CallOptions>()
    expectTypeOf<{ transfer: [ArrayBuffer] }>().toExtend<CallOptions>()
    expectTypeOf<{ transfer: 'auto' }>().toExtend<CallOptions>()
    expectTypeOf<{ transfer: 'all' }>().not.toExtend<CallOptions>()
    expectTypeOf<{ transfer: [{ no: 'buffer' }] }>().not.toExtend<CallOptions>()
    expectTypeOf<{ timeout: 'soon' }>().not.toExtend<CallOptions>()
    expectTypeOf<{ priority: 'urgent' }>().not.toExtend<CallOptions>()
    expectTypeOf<{ onProgress(progress: { done: string }): void }>().not.toExtend<
      CallOptions<{ done: number }>
    >()
    expectTypeOf<TaskContext<number>['report']>().parameter(0).toEqualTypeOf<number>()
  })

  it('of runInline are those of the function', () => {
    types((offloader) => {
      const call = offloader.runInline((a: number, b: string) => a + b.length, 1, 'x')
      expectTypeOf(call).toEqualTypeOf<Promise<number>>()
      const nested = offloader.runInline(async () => [1n])
      expectTypeOf(nested).toEqualTypeOf<Promise<bigint[]>>()
    })
  })

  it('options know sizes, durations and what is off', () => {
    expectTypeOf<{ memory: '64mb'; idle: false; queue: 10 }>().toExtend<OffloaderOptions>()
    expectTypeOf<{ memory: '64 bytes' }>().not.toExtend<OffloaderOptions>()
    expectTypeOf<{ threads: 'all' }>().not.toExtend<OffloaderOptions>()
  })

  it('a route asks for the input of its task and replies with its output', () => {
    types(() => {
      type Thumbnail = Task<Uint8Array, { bytes: Uint8Array }>
      type Express = Parameters<typeof offloadExpress<Uint8Array, { bytes: Uint8Array }>>
      type Fastify = Parameters<typeof offloadFastify<Uint8Array, { bytes: Uint8Array }>>
      type Koa = Parameters<typeof offloadKoa<Uint8Array, { bytes: Uint8Array }>>
      expectTypeOf<Thumbnail>().toExtend<Express[0] & Fastify[0] & Koa[0]>()
      expectTypeOf<() => string>().not.toExtend<Express[1]['input']>()
      expectTypeOf<() => string>().not.toExtend<Fastify[1]['input']>()
      expectTypeOf<() => string>().not.toExtend<Koa[1]['input']>()
      expectTypeOf<() => Promise<Uint8Array>>().toExtend<Express[1]['input'] & Koa[1]['input']>()
    })
  })

  it('ready tasks have their own', () => {
    expectTypeOf<ReadyTasks['gzip']>().returns.resolves.toExtend<Uint8Array>()
    expectTypeOf<ReadyTasks['verifyPassword']>().returns.toEqualTypeOf<Promise<boolean>>()
    expectTypeOf<Parameters<ReadyTasks['verifyPassword']>[0]>().toEqualTypeOf<{
      readonly password: string
      readonly hash: string
    }>()
  })
})
