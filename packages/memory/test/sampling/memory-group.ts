import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** A control group of the kernel with a limit on memory, for a process that puts itself into it. */
export interface RealGroup extends AsyncDisposable {
  readonly directory: string
  readonly version: 1 | 2
  /** A process that writes its id here belongs to the group. */
  readonly members: string
}

const LIMIT_FILE = { 1: 'memory.limit_in_bytes', 2: 'memory.max' } as const

/**
 * Makes one, below the place where the hierarchy with the memory controller is mounted.
 *
 * @returns why not, when this machine or this user may not
 */
export function makeGroup(limit: number, high?: number): RealGroup | string {
  const place = hierarchy()
  if (typeof place === 'string') return place
  const { version, root } = place
  const directory = `${root}/spillway-test-${process.pid}-${Date.now()}`
  try {
    mkdirSync(directory)
    writeFileSync(`${directory}/${LIMIT_FILE[version]}`, String(limit))
    if (version === 2 && high !== undefined) writeFileSync(`${directory}/memory.high`, String(high))
  } catch (error) {
    if (existsSync(directory)) rmdirSync(directory)
    return `no control group can be made below ${root}: ${String(error)}`
  }
  return {
    directory,
    version,
    members: `${directory}/cgroup.procs`,
    async [Symbol.asyncDispose]() {
      for (let tries = 0; ; tries++) {
        try {
          return rmdirSync(directory) // busy as long as the kernel buries the last process
        } catch (error) {
          if (tries === 100) throw error
          await sleep(50)
        }
      }
    },
  }
}

/** Where the memory controller is: on v2 when the root hands it down, else on v1. */
function hierarchy(): { readonly version: 1 | 2; readonly root: string } | string {
  const mountinfo = existsSync('/proc/self/mountinfo') ? readFileSync('/proc/self/mountinfo', 'utf8') : ''
  const mounts = mountinfo.split('\n').map((line) => line.split(' '))
  const rootOf = (type: string, option: string) =>
    mounts.find((fields) => fields.includes(type) && (fields.at(-1) ?? '').split(',').includes(option))?.[4]
  const v2 = mounts.find((fields) => fields.includes('cgroup2'))?.[4]
  if (v2 !== undefined && handsDownMemory(v2)) return { version: 2, root: v2 }
  const v1 = rootOf('cgroup', 'memory')
  return v1 === undefined ? 'no hierarchy with the memory controller is mounted' : { version: 1, root: v1 }
}

function handsDownMemory(root: string): boolean {
  const file = `${root}/cgroup.subtree_control`
  return existsSync(file) && readFileSync(file, 'utf8').split(/\s/).includes('memory')
}
