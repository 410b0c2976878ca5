import type { IncomingMessage } from 'node:http'
import { line } from './http-message.js'

/** Headers by which proxies, and clients that play one, say what was asked for at first. */
const NAMES = [
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-scheme',
  'x-original-host',
  'x-original-url',
  'x-rewrite-url',
]

/**
 * What a request says of the original host, scheme and target, beside its own; `undefined`: nothing. It counts even where
 * the framework does not trust it, since apps build links and redirects from it: otherwise one client could choose them for
 * all.
 */
export function originToldBy({ headers }: IncomingMessage): string | undefined {
  const told: string[] = []
  for (const name of NAMES) {
    if (headers[name] !== undefined) told.push(name, line(headers, name)!)
  }
  // HTTP/2 allows both, and frameworks do not agree which counts.
  const { ':authority': authority, host } = headers
  if (authority !== undefined && host !== undefined && authority !== host) told.push('host', host)
  if (headers.forwarded !== undefined) {
    const pairs = headers.forwarded.split(/[;,]/).map((pair) => pair.trim().toLowerCase())
    const rest = pairs.filter((pair) => pair !== '' && !isOfNode(pair))
    if (rest.length > 0) told.push('forwarded', rest.join(';'))
  }
  return told.length === 0 ? undefined : JSON.stringify(told)
}

/** The addresses of clients and proxies in `Forwarded` (RFC 7239): not what was asked for. */
function isOfNode(pair: string): boolean {
  return pair.startsWith('for=') || pair.startsWith('by=')
}
