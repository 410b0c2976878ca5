import { type ParseArgsConfig, parseArgs } from 'node:util'
import { UsageError } from './usage.js'

type Options = NonNullable<ParseArgsConfig['options']>
type Parsed<T extends Options> = ReturnType<
  typeof parseArgs<{ args: string[]; options: T; allowPositionals: true }>
>

/** `parseArgs`. @throws UsageError for what `parseArgs` rejects */
export function parse<const T extends Options>(args: string[], options: T): Parsed<T> {
  try {
    return parseArgs({ args: joined(args, options), options, allowPositionals: true })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

/** `parseArgs` takes a value that begins with a dash only after `=`; people write `--node-args "--import tsx"`. */
function joined(args: readonly string[], options: Options): string[] {
  const result: string[] = []
  for (const arg of args) {
    const last = result.at(-1) ?? ''
    const takesValue = last.startsWith('--') && options[last.slice(2)]?.type === 'string'
    if (takesValue && arg.startsWith('-')) result[result.length - 1] = `${last}=${arg}`
    else result.push(arg)
  }
  return result
}

/** `300M`, `1G`, `512mb` in bytes, as PM2 and we write them. @throws UsageError */
export function bytesOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmg]?)b?$/i.exec(text)
  if (match === null) throw new UsageError(`"${text}" is no size: 300M, 1G`)
  const power = ['', 'k', 'm', 'g'].indexOf((match[2] ?? '').toLowerCase())
  return Math.floor(Number(match[1]) * 1024 ** power)
}

/** `30s`, `500ms`, or plain milliseconds, in milliseconds. @throws UsageError */
export function timeOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text)
  if (match === null) throw new UsageError(`"${text}" is no time: 30s, 500ms`)
  return Number(match[1]) * ({ ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[match[2] ?? 'ms'] ?? 1)
}
