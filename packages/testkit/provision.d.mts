export type ServerName = 'redis' | 'mariadb' | 'mariadbInstallDb' | 'memcached' | 'nginx' | 'haproxy'

export interface ServerProgram {
  /** The program as it is called on the PATH. */
  readonly program: string
  /** The environment variable that says where it is. */
  readonly variable: string
  /** The Debian package it comes in. */
  readonly debian: string
}

export const SERVERS: Readonly<Record<ServerName, ServerProgram>>

/** The path of a server's program, or undefined when it is not on this machine. */
export function locate(name: ServerName): string | undefined

/**
 * Makes sure that these servers are on the machine, installing what is missing, and returns their paths by name.
 *
 * @throws Error with the exact command to type where it may not install
 */
export function provision<Name extends ServerName>(names?: readonly Name[]): Record<Name, string>

/** What a person types to get these servers. */
export function installCommand(names: readonly ServerName[]): string
