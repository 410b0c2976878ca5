import { readFileSync } from 'node:fs'
import { durationMs } from '@spillway/kit'
import { describe, expect, it } from 'vitest'
import {
  AUTOSCALE_DEFAULTS,
  DRAIN_DEFAULTS,
  HEARTBEAT_DEFAULTS,
  RESTART_DEFAULTS,
  SUPERVISOR_DEFAULTS,
} from '../src/options.js'

const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

/** The `{ ... }` that the README gives as the default of an option, with durations in milliseconds. */
function documented(option: string): Record<string, unknown> {
  const literal =
    new RegExp(`\\| \`${option}\`[^\`]*\`(?:false\`[^\`]*\`)?\\{([^}]*)\\}`).exec(README)?.[1] ?? ''
  return Object.fromEntries(
    [...literal.matchAll(/(\w+): ('[^']*'|[\d.]+|\w+)/g)].map(([, key = '', value = '']) => [
      key,
      parsed(value),
    ]),
  )
}

function parsed(text: string): unknown {
  const bare = text.replaceAll("'", '')
  if (/^'[\d.]+(ms|s|m|h)'$/.test(text)) return durationMs(bare as '1s')
  return /^[\d.]+$/.test(text) ? Number(text) : bare
}

describe('the defaults in the README', () => {
  it.each([
    ['drain', DRAIN_DEFAULTS],
    ['restarts', RESTART_DEFAULTS],
    ['heartbeat', HEARTBEAT_DEFAULTS],
    ['autoscale', { ...AUTOSCALE_DEFAULTS, max: 'CPUs' }],
  ])('of %s are those of the code', (option, defaults) => {
    expect(documented(option)).toEqual(defaults)
  })

  it('names every option', () => {
    const unnamed = Object.keys(SUPERVISOR_DEFAULTS).filter((name) => !README.includes(`\`${name}\``))
    expect(unnamed).toEqual([])
  })
})
