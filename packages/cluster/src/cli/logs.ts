import { follow } from '../control/control-client.js'
import { type LogLine, prefixed } from '../logs/logs.js'
import { parse } from './args.js'
import { socketOf } from './names.js'

/** `spillway logs`: until Ctrl-C, or the supervisor ends. */
export async function logs(args: string[]): Promise<void> {
  const { values, positionals } = parse(args, { json: { type: 'boolean' } })
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  await follow(
    socketOf(positionals[0]),
    (line) => console.log(values.json ? JSON.stringify(line) : prefixed(line as LogLine)),
    stop.signal,
  )
}
