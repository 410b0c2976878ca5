import { readdirSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { controlPath } from '../control/control-client.js'
import { UsageError } from './usage.js'

/** The control socket of the supervisor with this name, or of the only one there is. @throws UsageError */
export function socketOf(name: string | undefined): string {
  if (name !== undefined) return controlPath(name)
  const names = all()
  if (names.length === 1) return controlPath(names[0]!)
  if (names.length === 0) throw new UsageError('No supervisor runs.')
  throw new UsageError(`Which one? ${names.join(', ')}`)
}

function all(): string[] {
  try {
    const files = readdirSync(dirname(controlPath('any')))
    return files.filter((file) => file.endsWith('.sock')).map((file) => basename(file, '.sock'))
  } catch {
    return []
  }
}
