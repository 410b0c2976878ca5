import { toUSVString } from 'node:util'

/** UTF-16 code units that are kept of a label's value. Patterns of routes and names of pools are far shorter. */
const LONGEST = 256

/**
 * The text of a label's value: at most `longest` characters (default: 256), and no half of a surrogate pair. UTF-8 writes
 * every such half as the same character, so that two series would get one name, for which Prometheus refuses the scrape.
 */
export function labelText(value: string, longest: number = LONGEST): string {
  return toUSVString(value.length > longest ? value.slice(0, longest) : value)
}
