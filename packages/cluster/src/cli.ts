import { command } from './cli/commands.js'
import { UsageError } from './cli/usage.js'

const [name, ...args] = process.argv.slice(2)

command(name, args).catch((error: Error) => {
  console.error(error instanceof UsageError ? `${error.message}\n` : `spillway: ${error.message}`)
  if (error instanceof UsageError) console.error('`spillway help` lists the commands and their options.')
  process.exit(1)
})
