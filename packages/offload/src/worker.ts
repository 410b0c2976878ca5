// Runs in each thread. Piscina calls `handle` once, with the thread's own port; tasks come over that, run one after
// the other, and are answered in order.

import { AsyncResource } from 'node:async_hooks'
import { getHeapStatistics } from 'node:v8'
import { type MessagePort, receiveMessageOnPort, type Transferable } from 'node:worker_threads'
import { compact } from './wire/binary.js'
import { Claims } from './wire/claims.js'
import { findUncloneable } from './wire/cloneable.js'
import { type CloneDetail, describe, type Failure, isFailure, messageOf, reviveAny } from './wire/failure.js'
import type { Boot, Request, ToThread } from './wire/protocol.js'
import { Context, type ThreadLink } from './worker/context.js'
import { CrashBlame } from './worker/crash-blame.js'
import { explainCapture, runInline } from './worker/inline-source.js'
import { importModule, loadFunction, type TaskFunction } from './worker/loader.js'

const MEMORY_CHECK_MS = 100
/** The number of the task that runs what it is given. */
const INLINE = 0

let link: ThreadLink
let blame: CrashBlame
let memory = 0
let restore: ((carried: unknown, run: () => unknown) => unknown) | undefined
let current: Context | undefined
/** Requests that came while another task awaited something. */
const waiting: Request[] = []
const functions = new Map<number, TaskFunction>([[INLINE, runInline]])
/** The async context outside of all tasks. */
const outside = new AsyncResource('Offload')

/** The handler that piscina calls when the thread has started. */
export async function handle(boot: Boot): Promise<void> {
  memory = boot.memory
  if (memory > 0) setInterval(watchMemory, MEMORY_CHECK_MS).unref()
  if (boot.restore !== undefined) restore = (await importModule(boot.restore)).default as typeof restore
  const claims = new Claims(boot.cells)
  blame = new CrashBlame(claims)
  link = linkOver(boot.control, claims)
}

function receive(message: ToThread): void {
  if ('cancel' in message) {
    if (current?.ticket === message.cancel) current.cancel(reviveAny(message.reason, new Map()))
  } else if (current === undefined && waiting.length === 0) run(message)
  else waiting.push(message)
}

/** Never rejects. A task that does not await ends before the next message is read. */
async function run(request: Request): Promise<void> {
  const { ticket, carried } = request
  if (!link.claims.take(ticket)) return next()
  const context = new Context(ticket, carried, link)
  const suspect = { ticket, task: request.task }
  let begun = Number.POSITIVE_INFINITY
  current = context
  try {
    // From here on in an async context of its own: what a task enters must not reach the next one.
    await undefined
    // The caller may have given up while the request was on its way.
    context.check()
    let task = functions.get(request.task)
    if (task === undefined) task = await blame.load(suspect, () => load(request))
    begun = blame.begin()
    const start = task.bind(undefined, request.input, context)
    const inContext = restore === undefined || carried === undefined ? start : () => restore!(carried, start)
    const value = await blame.follow(suspect, inContext)
    blame.end(suspect, begun)
    if (memory > 0) checkMemory()
    link.post('result', { ticket, result: compact(value) }, context.moved)
  } catch (thrown) {
    blame.end(suspect, begun)
    link.control.postMessage({ ticket, failure: failureOf(thrown, request) })
  }
  current = undefined
  next()
}

/** Runs the next task in its own turn: an unhandled rejection of the last one ends the thread before the next one begins. */
function next(): void {
  if (waiting.length > 0) outside.runInAsyncScope(setImmediate, undefined, () => run(waiting.shift()!))
}

async function load(request: Request): Promise<TaskFunction> {
  const loaded = await loadFunction(request.origin!)
  functions.set(request.task, loaded)
  return loaded
}

function failureOf(thrown: unknown, { task }: Request): Failure {
  if (isFailure(thrown)) return thrown
  return task === INLINE ? explainCapture(thrown) : describe(thrown)
}

function linkOver(control: MessagePort, claims: Claims): ThreadLink {
  control.on('message', receive)
  // A request that cannot be read cannot be answered. The thread ends, so that its caller gets an error.
  control.on('messageerror', (error) => {
    throw error
  })
  // Piscina's own port keeps the thread alive.
  control.unref()
  return {
    control,
    claims,
    drain() {
      for (let entry = receiveMessageOnPort(control); entry; entry = receiveMessageOnPort(control)) {
        receive(entry.message as ToThread)
      }
    },
    post(side, message, transfer) {
      try {
        control.postMessage(message, transfer as Transferable[] & object[])
      } catch (error) {
        const { path, reason } = findUncloneable(message[side], side) ?? {
          path: 'transfer',
          reason: messageOf(error),
        }
        throw { ...describe(undefined, 'clone'), value: { side, path, reason } satisfies CloneDetail }
      }
    },
  }
}

function watchMemory(): void {
  const bytes = getHeapStatistics().external_memory
  if (current !== undefined && bytes > memory) {
    link.control.postMessage({ ticket: current.ticket, memory: bytes })
  }
}

function checkMemory(): void {
  const bytes = getHeapStatistics().external_memory
  if (bytes > memory) throw { ...describe(undefined, 'memory'), value: bytes }
}
