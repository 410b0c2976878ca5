import { createHook } from 'node:async_hooks'
import { until } from './waiting.js'

/** What Node calls a handle that can keep the process alive. */
interface Handle {
  hasRef(): boolean
}

/**
 * Runs `work` and fails when something that was opened meanwhile still keeps the process alive some time after it:
 * a socket, a server, a referenced timer, a child process, a thread.
 */
export async function withoutLeak<T>(work: () => Promise<T>): Promise<T> {
  const open = new Map<number, { readonly kind: string; readonly handle: Handle }>()
  let recording = true
  const hook = createHook({
    init(id, kind, _trigger, resource) {
      const handle = resource as Partial<Handle>
      if (recording && typeof handle.hasRef === 'function') open.set(id, { kind, handle: handle as Handle })
    },
    destroy(id) {
      open.delete(id)
    },
  })
  const left = () => [...open.values()].filter(({ handle }) => handle.hasRef()).map(({ kind }) => kind)
  hook.enable()
  try {
    const result = await work()
    recording = false
    await until(
      () => left().length === 0,
      () => `nothing keeps the process alive (left: ${left().join(', ')})`,
    )
    return result
  } finally {
    hook.disable()
  }
}
