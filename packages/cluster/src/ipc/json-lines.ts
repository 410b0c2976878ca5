import type { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'

/** No request of this package is longer; a longer line ends the stream. UTF-16 code units. */
const LONGEST = 64 * 1024

/**
 * Calls back with each line that comes; a line that is longer than `longest` ends the stream. Each character is looked at
 * once, however small the pieces are that it comes in.
 */
export function readLines(source: Readable, onLine: (line: string) => void, longest = LONGEST): void {
  const decoder = new StringDecoder('utf8')
  let pieces: string[] = []
  let length = 0
  source.on('data', (chunk: Buffer) => {
    const [first = '', ...others] = decoder.write(chunk).split('\n')
    let last = first
    for (const next of others) {
      if (!keep(last)) return
      const line = pieces.join('')
      pieces = []
      length = 0
      last = next
      if (line.trim() !== '') onLine(line)
      if (source.destroyed) return
    }
    keep(last)
  })

  function keep(piece: string): boolean {
    length += piece.length
    if (length > longest) {
      pieces = []
      source.destroy()
      return false
    }
    if (piece !== '') pieces.push(piece)
    return true
  }
}
