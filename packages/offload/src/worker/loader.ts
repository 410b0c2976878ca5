import { describe } from '../wire/failure.js'
import type { Origin } from '../wire/protocol.js'

// biome-ignore lint/suspicious/noExplicitAny: the caller's types guard the call
export type TaskFunction = (input: any, context: any) => unknown

/** A dynamic import that stays one: the CommonJS build would turn it into `require`, which knows no URLs. */
export const importModule = new Function('href', 'return import(href)') as (
  href: string,
) => Promise<Record<string, unknown>>

const registered = new Set<string>()

/** Imports a module (ES or CommonJS) and picks a function of it. Throws a `Failure` of kind `load` or `missing`. */
export async function loadFunction({ module: href, name, loader }: Origin): Promise<TaskFunction> {
  const module = await load(href, loader)
  const candidate = module[name] ?? (module.default as Record<string, unknown> | undefined)?.[name]
  if (typeof candidate === 'function') return candidate as TaskFunction
  throw { ...describe(undefined, 'missing'), value: functionsOf(module) }
}

async function load(href: string, loader: string | undefined): Promise<Record<string, unknown>> {
  try {
    if (loader !== undefined && !registered.has(loader)) {
      const { register } = await importModule(loader)
      ;(register as () => void)()
      registered.add(loader)
    }
    return await importModule(href)
  } catch (error) {
    throw describe(error, 'load')
  }
}

function functionsOf(module: Record<string, unknown>): string[] {
  const inner = typeof module.default === 'object' && module.default !== null ? module.default : {}
  return Object.entries({ ...inner, ...module })
    .filter(([, value]) => typeof value === 'function')
    .map(([name]) => name)
}
