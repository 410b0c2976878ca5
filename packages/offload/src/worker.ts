// Runs in each thread: takes tasks from piscina, one at a time, and answers. Piscina terminates a thread whose answer
// it cannot post and clones errors badly, so nothing that may fail to clone, and no Error, is handed to it.

import { getHeapStatistics } from 'node:v8'
import { type MessagePort, receiveMessageOnPort, type Transferable } from 'node:worker_threads'
import { compact, isView } from './binary.js'
import { findUncloneable } from './cloneable.js'
import { Context, type ThreadLink } from './context.js'
import { type CloneDetail, describe, isFailure, messageOf, reviveAny } from './failure.js'
import { explainCapture, runInline } from './inline-source.js'
import { importModule, loadFunction, type TaskFunction } from './loader.js'
import type { Boot, Cancel, Posted, Request } from './protocol.js'

const MEMORY_CHECK_MS = 100
/** The number of the task that runs what it is given. */
const INLINE = 0
const POSTED: Posted = { posted: true }

let link: ThreadLink
let memory = 0
let restore: ((carried: unknown, run: () => unknown) => unknown) | undefined
let current: Context | undefined
const functions = new Map<number, TaskFunction>([[INLINE, runInline]])

/** The handler that piscina calls, first with the boot message and then with each task. */
export function handle(message: Boot | Request): unknown {
  if ('boot' in message) return boot(message)
  const known = functions.get(message.task)
  return known === undefined ? loadAndRun(message) : run(known, message)
}

async function boot(message: Boot): Promise<void> {
  link = linkOver(message.control, message.cancelled)
  memory = message.memory
  if (memory > 0) setInterval(watchMemory, MEMORY_CHECK_MS).unref()
  if (message.restore !== undefined) {
    restore = (await importModule(message.restore)).default as typeof restore
  }
}

async function loadAndRun(request: Request): Promise<unknown> {
  const loaded = await loadFunction(request.origin!)
  functions.set(request.task, loaded)
  return run(loaded, request)
}

async function run(task: TaskFunction, request: Request): Promise<unknown> {
  const context = new Context(request.id, request.carried, link)
  current = context
  try {
    // The caller may have given up while the request was on its way.
    context.check()
    const pending =
      restore === undefined || request.carried === undefined
        ? task(request.input, context)
        : restore(request.carried, () => task(request.input, context))
    const value = await pending
    if (memory > 0) checkMemory()
    return deliver(value, context)
  } catch (thrown) {
    if (isFailure(thrown)) throw thrown
    throw request.task === INLINE ? explainCapture(thrown) : describe(thrown)
  } finally {
    current = undefined
  }
}

/** Objects go over our own port, where a value that cannot be cloned is an error and not the end of the thread. */
function deliver(value: unknown, context: Context): unknown {
  const plain = context.moved === undefined && (typeof value !== 'object' || value === null || isView(value))
  if (plain && typeof value !== 'function' && typeof value !== 'symbol') return compact(value)
  link.post('result', { id: context.id, result: value }, context.moved)
  return POSTED
}

function linkOver(control: MessagePort, cancelled: Int32Array): ThreadLink {
  const receive = ({ cancel, reason }: Cancel) => {
    if (current?.id === cancel) current.cancel(reviveAny(reason, new Map()))
  }
  control.on('message', receive)
  control.unref()
  return {
    control,
    cancelled,
    drain() {
      for (let entry = receiveMessageOnPort(control); entry; entry = receiveMessageOnPort(control)) {
        receive(entry.message as Cancel)
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
  if (current !== undefined && bytes > memory) link.control.postMessage({ id: current.id, memory: bytes })
}

function checkMemory(): void {
  const bytes = getHeapStatistics().external_memory
  if (bytes > memory) throw { ...describe(undefined, 'memory'), value: bytes }
}
