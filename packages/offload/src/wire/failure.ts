import type { ErrorClass } from '../options.js'

/**
 * An error as plain data. Structured clone keeps only message, stack and cause of an error, and only the built-in
 * class; here name, code, status and every own field survive as well.
 */
export interface Failure {
  readonly failure: FailureKind
  readonly name: string
  readonly message: string
  readonly stack: string
  readonly fields: Readonly<Record<string, unknown>>
  readonly cause?: Failure | undefined
  readonly errors?: readonly Failure[] | undefined
  /** What was thrown when it was no Error, or the cause when that was none. */
  readonly value?: unknown
}

/** An Error, something else that was thrown, or what went wrong around the task. */
export type FailureKind = 'error' | 'value' | 'load' | 'missing' | 'clone' | 'memory' | 'capture'

/** Causes are followed this far. */
const MAX_DEPTH = 8

/** Turns anything thrown into data that can be posted. Fields that cannot be cloned are left out. */
export function describe(thrown: unknown, kind: FailureKind = 'error', depth = 0): Failure {
  if (!(thrown instanceof Error)) {
    const value = isCloneable(thrown) ? thrown : String(thrown)
    return {
      failure: kind === 'error' ? 'value' : kind,
      name: 'Error',
      message: String(thrown),
      stack: '',
      fields: {},
      value,
    }
  }
  const deeper = depth < MAX_DEPTH
  return {
    failure: kind,
    name: nameOf(thrown),
    message: String(thrown.message),
    stack: String(thrown.stack ?? ''),
    fields: fieldsOf(thrown),
    cause: deeper && thrown.cause !== undefined ? describe(thrown.cause, 'error', depth + 1) : undefined,
    errors:
      deeper && thrown instanceof AggregateError
        ? thrown.errors.map((error) => describe(error, 'error', depth + 1))
        : undefined,
  }
}

/** Whether a value is a failure, and not something that a task threw. */
export function isFailure(value: unknown): value is Failure {
  return typeof value === 'object' && value !== null && 'failure' in value && 'fields' in value
}

/** Makes an Error of the same class again: a registered one, a built-in one, or an Error that bears the name. */
export function revive(failure: Failure, classes: ReadonlyMap<string, ErrorClass>): Error {
  const error = create(failure, classes)
  hide(error, 'stack', failure.stack)
  if (failure.cause !== undefined) hide(error, 'cause', reviveAny(failure.cause, classes))
  if (failure.errors !== undefined)
    hide(
      error,
      'errors',
      failure.errors.map((one) => reviveAny(one, classes)),
    )
  for (const [name, value] of Object.entries(failure.fields)) {
    Object.defineProperty(error, name, { value, enumerable: true, configurable: true, writable: true })
  }
  return error
}

/** What was thrown: an Error again, or the other value that it was. */
export function reviveAny(failure: Failure, classes: ReadonlyMap<string, ErrorClass>): unknown {
  return failure.stack === '' && 'value' in failure ? failure.value : revive(failure, classes)
}

const BUILT_IN = new Map<string, ErrorClass>(
  [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError, AggregateError].map(
    (errorClass) => [errorClass.name, errorClass],
  ),
)

function create(failure: Failure, classes: ReadonlyMap<string, ErrorClass>): Error {
  const { name, message } = failure
  if ('DOMException' in failure.fields) return new DOMException(message, name)
  const known = classes.get(name) ?? BUILT_IN.get(name)
  // A real Error object, so that `util.types.isNativeError` and the inspector see one; only its class is exchanged.
  const error = new Error(message)
  if (known === undefined) hide(error, 'name', name)
  else if (known !== Error) Object.setPrototypeOf(error, known.prototype)
  return error
}

function hide(error: Error, name: string, value: unknown): void {
  Object.defineProperty(error, name, { value, enumerable: false, configurable: true, writable: true })
}

/** The class name counts; libraries that only set `name` (and leave the class at Error) are understood too. */
function nameOf(error: Error): string {
  if (isDomException(error)) return error.name
  const className = error.constructor?.name
  return className === undefined || className === '' || className === 'Error' ? error.name : className
}

const STANDARD = new Set(['name', 'message', 'stack', 'cause', 'errors'])

function fieldsOf(error: Error): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  for (const name of Object.keys(error)) {
    if (STANDARD.has(name)) continue
    const value: unknown = Reflect.get(error, name)
    if (isCloneable(value)) fields[name] = value
  }
  if (isDomException(error)) fields.DOMException = true
  // A name that differs from the class's (`error.name = 'Timeout'`) is information as well.
  else if (Object.hasOwn(error, 'name') && error.name !== nameOf(error)) fields.name = error.name
  return fields
}

function isDomException(error: Error): boolean {
  return typeof DOMException === 'function' && error instanceof DOMException
}

/** The value of a `clone` failure. */
export interface CloneDetail {
  readonly side: 'input' | 'result' | 'progress'
  readonly path: string
  readonly reason: string
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function isCloneable(value: unknown): boolean {
  if (
    value === null ||
    (typeof value !== 'object' && typeof value !== 'function' && typeof value !== 'symbol')
  ) {
    return true
  }
  try {
    structuredClone(value)
    return true
  } catch {
    return false
  }
}
