import type { Socket } from 'node:net'

/** No request is longer. Whoever sends more is not one of ours. Characters. */
const LONGEST = 64 * 1024

/** Calls back with each line that comes over a socket; one that is too long ends it. */
export function readLines(socket: Socket, onLine: (line: string) => void, longest = LONGEST): void {
  let rest = ''
  socket.setEncoding('utf8')
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line.trim() !== '') onLine(line)
    if (rest.length > longest) socket.destroy()
  })
}
