import { loadBalancer } from './lb.js'
import { logs } from './logs.js'
import { reload, reopen, scale, status, stop, tls } from './remote.js'
import { start } from './start.js'
import { top } from './top.js'
import { HELP, UsageError } from './usage.js'

const COMMANDS: Readonly<Record<string, (args: string[]) => Promise<void> | void>> = {
  start,
  status,
  reload,
  scale,
  stop,
  logs,
  reopen,
  tls,
  top,
  lb: loadBalancer,
}

/** @throws UsageError for a command that does not exist */
export async function command(name: string | undefined, args: string[]): Promise<void> {
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    process.stdout.write(HELP)
    return
  }
  const run = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (run === undefined) throw new UsageError(`There is no command "${name}".`)
  await run(args)
}
