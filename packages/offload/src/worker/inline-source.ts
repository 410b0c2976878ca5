import { types } from 'node:util'
import { misuse } from '@spillway/kit'
import { describe, type Failure } from '../wire/failure.js'
import type { InlineCall } from '../wire/protocol.js'

type Inline = (...args: readonly unknown[]) => unknown

/** Sources kept compiled; beyond it all are dropped. */
const MAX_COMPILED = 200
const compiled = new Map<string, Inline>()

/** Runs a function from its source, in the global scope of this thread. */
export function runInline({ source, args }: InlineCall): unknown {
  let inline = compiled.get(source)
  if (inline === undefined) {
    inline = compile(source)
    if (compiled.size >= MAX_COMPILED) compiled.clear()
    compiled.set(source, inline)
  }
  return inline(...args)
}

/**
 * The source of a function that may run inline.
 *
 * @throws TypeError `ERR_OFFLOAD_INLINE` for native and bound functions, methods, classes and what is no function
 */
export function sourceOf(inline: unknown): string {
  if (typeof inline !== 'function') throw unfit('it is not a function')
  const source = Function.prototype.toString.call(inline)
  if (/\{\s*\[native code\]\s*\}$/.test(source)) throw unfit('it is native or bound, and has no source')
  if (types.isProxy(inline) || /^class\b/.test(source)) throw unfit('it is a class or a proxy')
  try {
    compile(source)
  } catch {
    throw unfit('it is a method; write it as a function or an arrow function')
  }
  return source
}

/** A name that is not defined in the thread is one that the function took from around it. */
export function explainCapture(thrown: unknown): Failure {
  const missing = thrown instanceof ReferenceError && /^(\S+) is not defined$/.exec(thrown.message)?.[1]
  return missing ? { ...describe(thrown, 'capture'), value: missing } : describe(thrown)
}

/** The error for the caller of a function that captures scope. */
export function captureError(name: unknown, cause: unknown): TypeError {
  const error = unfit(
    `it uses "${name}" from around it, which does not exist in the thread; pass it as an argument, or make it a task module`,
  )
  return Object.assign(error, { cause })
}

function compile(source: string): Inline {
  // Compilers that keep names (esbuild, tsx) call `__name(function, 'name')` inside of function bodies.
  const make = new Function('__name', `'use strict'; return (${source}\n)`) as (
    name: (f: unknown) => unknown,
  ) => Inline
  return make((named) => named)
}

function unfit(reason: string): TypeError {
  return misuse(TypeError, 'ERR_OFFLOAD_INLINE', `This function cannot run inline: ${reason}`)
}
