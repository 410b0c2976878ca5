// Never run: `npm run typecheck` reads it. What users write must compile, and what they get must have its type.
import { createServer, type IncomingMessage } from 'node:http'
import type { Request, RequestHandler } from 'express'
import Fastify, { type FastifyPluginCallback, type FastifyRequest, type RouteHandlerMethod } from 'fastify'
import type { Context, Middleware } from 'koa'
import { expectTypeOf } from 'vitest'
import * as express from '../src/express.js'
import * as fastify from '../src/fastify.js'
import {
  type Handler,
  type Leak,
  type Level,
  MemoryMonitor,
  type MemoryStats,
  memoryReport,
  OverloadedError,
  type Priority,
  type Reason,
  type RejectedError,
  realSystem,
  type Sample,
  type SnapshotRefusedError,
  shedLoad,
} from '../src/index.js'
import * as koa from '../src/koa.js'

const monitor = new MemoryMonitor({
  limit: '512mb',
  sampleEvery: '250ms',
  marks: { heap: { critical: [0.8, 0.9] }, utilization: false, delay: { elevated: false } },
  health: () => 'elevated',
  replacement: (reasons) => expectTypeOf(reasons).toEqualTypeOf<readonly Reason[]>(),
  snapshot: { directory: '/snapshots', maxHeap: '300mb', cooldown: '1h', nearHeapLimit: false },
  leak: { minGrowth: '64mb', confidence: 0.999 },
  system: { ...realSystem, totalMemory: () => 2 ** 30 },
})
new MemoryMonitor({ limit: 'auto', leak: false, snapshot: false, replacement: false })

// @ts-expect-error a unit that does not exist
new MemoryMonitor({ sampleEvery: '250 parsecs' })
// @ts-expect-error a name that does not exist
new MemoryMonitor({ sampleEvry: 250 })
// @ts-expect-error a mark is a pair
new MemoryMonitor({ marks: { heap: { critical: 0.9 } } })
// @ts-expect-error a level that does not exist
new MemoryMonitor({ health: () => 'fine' })
// @ts-expect-error a number of files, or false
new MemoryMonitor({ snapshot: { nearHeapLimit: '0' } })

expectTypeOf(monitor.level).toEqualTypeOf<Level>()
expectTypeOf(monitor).toExtend<{ readonly overloaded: boolean; close(): Promise<void> }>()
expectTypeOf(monitor).toExtend<AsyncDisposable>()
expectTypeOf(monitor.sample()).toEqualTypeOf<Sample>()
expectTypeOf(monitor.stats()).toEqualTypeOf<MemoryStats>()
expectTypeOf(monitor.snapshot()).resolves.toEqualTypeOf<string>()
monitor.on('level', (level, reasons) => {
  expectTypeOf(level).toEqualTypeOf<Level>()
  expectTypeOf(reasons[0]!.value).toBeNumber()
})
monitor.on('leak', (leak) => {
  expectTypeOf(leak).toEqualTypeOf<Leak>()
  expectTypeOf(leak.kind).toEqualTypeOf<'heap' | 'external' | 'native'>()
  expectTypeOf(leak.timeToLimit).toEqualTypeOf<number | undefined>()
})
// @ts-expect-error an event that does not exist
monitor.on('leek', () => {})

expectTypeOf<OverloadedError>().toExtend<RejectedError>()
expectTypeOf<SnapshotRefusedError['reason']>().toEqualTypeOf<
  'busy' | 'cooldown' | 'disk' | 'disabled' | 'heap' | 'memory'
>()
declare const thrown: unknown
if (thrown instanceof OverloadedError) expectTypeOf(thrown.reasons).toEqualTypeOf<readonly Reason[]>()

// Each framework's callbacks get that framework's own request.
expectTypeOf(shedLoad(monitor)).toEqualTypeOf<Handler>()
createServer((request, response) => shedLoad(monitor)(request, response, () => response.end()))
shedLoad(monitor, { skip: (request) => request.url === '/' })
shedLoad<IncomingMessage & { user: string }>(monitor, { priority: ({ user }) => (user ? 2 : 0) })

expectTypeOf(
  express.shedLoad(monitor, { priority: (req) => (req.ip === '::1' ? 2 : 1) }),
).toEqualTypeOf<RequestHandler>()
express.shedLoad(monitor, { skip: (req) => expectTypeOf(req).toEqualTypeOf<Request>() })

expectTypeOf(fastify.shedLoad).toEqualTypeOf<FastifyPluginCallback<fastify.FastifyShedLoadOptions>>()
expectTypeOf(fastify.health(monitor)).toEqualTypeOf<RouteHandlerMethod>()
const app = Fastify()
app.register(fastify.shedLoad, { monitor })
app.register(fastify.shedLoad, {
  monitor,
  skip: (request) => expectTypeOf(request).toEqualTypeOf<FastifyRequest>(),
})
// @ts-expect-error whose load?
app.register(fastify.shedLoad, {})
app.get('/free', { config: { shedLoad: false } }, () => 'free')
app.get('/cheap', { config: { shedLoad: { priority: 0 } } }, () => 'cheap')
// @ts-expect-error a priority that does not exist
app.get('/dear', { config: { shedLoad: { priority: 3 } } }, () => 'dear')

expectTypeOf(koa.shedLoad(monitor)).toEqualTypeOf<Middleware>()
koa.shedLoad(monitor, { skip: (ctx) => expectTypeOf(ctx).toEqualTypeOf<Context>() })
expectTypeOf<Priority>().toEqualTypeOf<0 | 1 | 2>()
// @ts-expect-error a priority that does not exist
shedLoad(monitor, { priority: () => 4 })

// A report is guarded by default.
memoryReport(monitor, { allow: async ({ headers }) => headers.authorization === 'secret' })
memoryReport(monitor, { token: 'a-token-of-24-characters' })
express.memoryReport(monitor)
// @ts-expect-error no such audience
express.memoryReport(monitor, { allow: 'everyone' })
koa.memoryReport(monitor, { path: '/internal/memory', allow: (ctx) => ctx.ip === '::1' })
