import type { Worker } from 'node:cluster'
import { count, INVALID, maybe, objectOf } from '@spillway/kit/message'
import { addressTypeField, hostField, portField } from '../ipc/listening.js'

const wish = objectOf({
  address: hostField,
  port: portField,
  addressType: addressTypeField,
  fd: (value) => (value === null ? undefined : maybe(count())(value)),
})

/**
 * `node:cluster` takes a worker at its word: a message in the form of its own, which any code can send by `process.send`,
 * makes it listen where it says, and an exception on the way ends the primary. So what a worker wishes to listen to is
 * looked at first; what makes no sense does not arrive.
 */
export function guardChannel({ process }: Worker): void {
  const emit = process.emit as (...args: unknown[]) => boolean
  const guarded = (name: string | symbol, ...args: unknown[]): boolean => {
    if (name === 'internalMessage' && !isSound(args[0])) return true
    return Reflect.apply(emit, process, [name, ...args])
  }
  process.emit = guarded as typeof process.emit
}

function isSound(message: unknown): boolean {
  if (typeof message !== 'object' || message === null) return false
  const { cmd, act } = message as { readonly cmd?: unknown; readonly act?: unknown }
  if (cmd !== 'NODE_CLUSTER') return true
  return act !== 'queryServer' && act !== 'listening' ? true : wish(message) !== INVALID
}
