import { writeSync } from 'node:fs'

/** Written at once, whatever state the streams are in: the process is about to end. */
export function writeError(text: string): void {
  try {
    writeSync(2, text)
  } catch {
    // Nobody reads our stderr.
  }
}
