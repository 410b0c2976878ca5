import { provision, type ServerName } from '../provision.mjs'

const found = new Map<ServerName, string>()

/**
 * The path of a server's program: from its environment variable, the PATH, or freshly installed.
 *
 * @throws Error with the exact command to type where it may not install
 */
export function binary(name: ServerName): string {
  const known = found.get(name) ?? provision([name])[name]
  found.set(name, known)
  return known
}
