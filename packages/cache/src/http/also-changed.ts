import type { Exchange } from './http-lookup.js'
import { type Head, line } from './http-message.js'

/** The targets that `Location` and `Content-Location` name, of this very origin. */
export function alsoChanged({ req, url, scheme }: Exchange, { headers }: Head): string[] {
  const targets: string[] = []
  const base = `${scheme}://${line(req.headers, ':authority') ?? req.headers.host ?? ''}${url}`
  if (!URL.canParse(base)) return targets
  for (const name of ['location', 'content-location']) {
    const value = line(headers, name)
    if (value === undefined || !URL.canParse(value, base)) continue
    const target = new URL(value, base)
    if (target.origin === new URL(base).origin) targets.push(target.pathname + target.search)
  }
  return targets
}
