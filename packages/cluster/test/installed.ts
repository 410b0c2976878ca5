import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Whether a program stands in a directory of PATH. */
export function installed(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((each) => existsSync(join(each, program)))
}
