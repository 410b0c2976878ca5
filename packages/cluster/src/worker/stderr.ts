import { writeSync } from 'node:fs'

/** Writes to the descriptor at once and past the streams: the process is about to end. */
export function writeError(text: string): void {
  try {
    writeSync(2, text)
  } catch {
    // The reader of stderr is gone.
  }
}
