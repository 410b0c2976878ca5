// The work of the offload benchmarks, as plain functions: every contender runs these.
import { pbkdf2Sync } from 'node:crypto'

export const noop = () => undefined
export const echo = (value) => value
export const length = (bytes) => bytes.byteLength

/** About 20 ms of one core. */
export const heavy = () => pbkdf2Sync('password', 'salt', 40_000, 32, 'sha512').length

/** About 100 ms of one core. */
export const report = () => pbkdf2Sync('password', 'salt', 200_000, 32, 'sha512').length

export const spin = (microseconds) => {
  const end = performance.now() + microseconds / 1_000
  while (performance.now() < end);
}
export const parse = (bytes) => JSON.parse(new TextDecoder().decode(bytes))
export const stringify = (value) => JSON.stringify(value)
