import type { Config } from './config.js'
import { ROUTES } from './routes-page.js'

/** What the person who started us sees first. */
export function banner(config: Config, origin: string, servers: readonly string[]): string {
  const lines = [
    '',
    `Spillway cities: ${origin}  (${config.workers} workers, ${config.framework})`,
    `Dashboard:       ${origin}/dashboard`,
    '',
    ...servers,
    '',
    ...Object.entries(ROUTES).map(([route, what]) => `  ${route.padEnd(46)}${what}`),
    '',
    'Ctrl-C drains and stops.',
    '',
  ]
  return lines.join('\n')
}
