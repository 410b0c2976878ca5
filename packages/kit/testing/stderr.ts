import { turns } from './waiting.js'

/**
 * What is printed as an error or a warning while `work` runs: by `console.error` and `console.warn` (which a test runner
 * replaces), on standard error, and as a warning of the process.
 */
export async function printedDuring(work: () => Promise<unknown>): Promise<string> {
  let printed = ''
  const note = (...parts: readonly unknown[]) => {
    printed += `${parts.map(String).join(' ')}\n`
  }
  const { error, warn } = console
  const { write } = process.stderr
  console.error = note
  console.warn = note
  process.stderr.write = ((chunk: string | Uint8Array) => {
    printed += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8')
    return true
  }) as typeof write
  process.on('warning', note)
  try {
    await work()
    await turns() // Express prints a turn after it has answered
    return printed
  } finally {
    process.off('warning', note)
    process.stderr.write = write
    Object.assign(console, { error, warn })
  }
}
