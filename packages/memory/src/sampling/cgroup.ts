import type { System } from './system.js'

type Reader = Pick<System, 'readFile'>

/** A control group that counts this process's memory, with its limit in bytes (`Infinity`: none). */
export interface MemoryGroup {
  readonly directory: string
  readonly version: 1 | 2
  /** The lower of the hard limit and, in v2, `memory.high`, beyond which the kernel throttles. */
  readonly limit: number
  /**
   * Bytes in use that the kernel cannot simply drop: what is charged, without the inactive page cache, but never less
   * than the anonymous memory. `undefined` when the files cannot be read or contradict each other.
   */
  workingSet(): number | undefined
  /** How often the group ran into its limit so far; `undefined` when unknown. */
  limitHits(): number | undefined
  /** Processes of the group that the kernel has killed for memory so far. */
  kills(): number
}

/**
 * The memory groups of this process, innermost first, in both hierarchies: v2, v1, and hybrid systems, where the v2
 * mount exists but the memory controller is on v1. Follows cgroups(7) and proc(5): the group's path is read from
 * `/proc/self/cgroup` and placed below the mount that `/proc/self/mountinfo` names, whose root a container often binds
 * to the group itself.
 */
export function memoryGroups(system: Reader): readonly MemoryGroup[] {
  const mounts = cgroupMounts(system.readFile('/proc/self/mountinfo') ?? '')
  const lines = (system.readFile('/proc/self/cgroup') ?? '').split('\n')
  const paths = { 1: groupPath(lines, 1), 2: groupPath(lines, 2) }
  const groups: MemoryGroup[] = []
  const seen = new Set<string>()
  for (const { version, root, directory } of mounts) {
    for (const group of ancestors(directory, below(root, paths[version]))) {
      if (seen.size === MOST_GROUPS) return groups
      if (seen.has(group)) break // and its ancestors
      seen.add(group)
      const found = version === 2 ? groupV2(system, group) : groupV1(system, group)
      if (found !== undefined) groups.push(found)
    }
  }
  return groups
}

/** Directories that are looked at: mounts and nested groups are few, and each costs some reads at every sample. */
const MOST_GROUPS = 128

interface Mount {
  readonly version: 1 | 2
  readonly root: string
  readonly directory: string
}

/** A line: `30 22 0:27 <root> <mount point> <options> [tags] - <type> <source> <super options>`. */
function cgroupMounts(mountinfo: string): Mount[] {
  const mounts: Mount[] = []
  for (const line of mountinfo.split('\n')) {
    const [place = '', device = ''] = line.split(' - ')
    const [, , , root = '/', directory] = place.split(' ')
    const [type, , options = ''] = device.split(' ')
    if (directory === undefined) continue
    if (type === 'cgroup2') mounts.push({ version: 2, root: plain(root), directory: plain(directory) })
    else if (type === 'cgroup' && options.split(',').includes('memory')) {
      mounts.push({ version: 1, root: plain(root), directory: plain(directory) })
    }
  }
  return mounts
}

/** Spaces and backslashes in mountinfo are octal. */
function plain(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}

/** The path of the process in a hierarchy. A line: `<id>:<controllers>:<path>`; v2 has no controllers. */
function groupPath(lines: readonly string[], version: 1 | 2): string {
  for (const line of lines) {
    const [, controllers, ...path] = line.split(':')
    if (controllers === undefined) continue
    if (version === 2 ? controllers === '' : controllers.split(',').includes('memory')) return path.join(':')
  }
  return '/'
}

/** The group's path as seen through a mount of `root`. One outside of it (`/../..`, a host path) is the mount itself. */
function below(root: string, path: string): string {
  if (path.includes('..')) return '/'
  if (root === '/') return path
  if (path === root) return '/'
  return path.startsWith(`${root}/`) ? path.slice(root.length) : '/'
}

/** The directory of the group, then that of each group around it, up to the mount. */
function* ancestors(directory: string, path: string): Generator<string> {
  const parts = path.split('/').filter((part) => part !== '')
  let group = [directory, ...parts].join('/')
  for (const part of parts.reverse()) {
    yield group
    group = group.slice(0, -part.length - 1)
  }
  yield directory
}

function groupV2(system: Reader, directory: string): MemoryGroup | undefined {
  const max = system.readFile(`${directory}/memory.max`)
  if (max === undefined) return undefined // the root group has none
  const events = () => fields(system.readFile(`${directory}/memory.events`))
  return {
    directory,
    version: 2,
    limit: limitOf(max, system.readFile(`${directory}/memory.high`)),
    workingSet: () => {
      const stat = fields(system.readFile(`${directory}/memory.stat`))
      const current = bytes(system.readFile(`${directory}/memory.current`))
      return workingSet(current, stat.get('anon'), stat.get('file'), stat.get('inactive_file'))
    },
    limitHits: () => {
      const counts = events()
      return counts.has('max') ? counts.get('max')! + (counts.get('high') ?? 0) : undefined
    },
    kills: () => events().get('oom_kill') ?? 0,
  }
}

function groupV1(system: Reader, directory: string): MemoryGroup | undefined {
  const limit = system.readFile(`${directory}/memory.limit_in_bytes`)
  if (limit === undefined) return undefined
  return {
    directory,
    version: 1,
    limit: limitOf(limit),
    workingSet: () => {
      const stat = fields(system.readFile(`${directory}/memory.stat`))
      const usage = bytes(system.readFile(`${directory}/memory.usage_in_bytes`))
      return workingSet(
        usage,
        stat.get('total_rss'),
        stat.get('total_cache'),
        stat.get('total_inactive_file'),
      )
    },
    limitHits: () => {
      const count = Number(system.readFile(`${directory}/memory.failcnt`) ?? Number.NaN)
      return Number.isFinite(count) ? count : undefined
    },
    kills: () => fields(system.readFile(`${directory}/memory.oom_control`)).get('oom_kill') ?? 0,
  }
}

function workingSet(charged: number, anonymous = 0, file = 0, inactiveFile = 0): number | undefined {
  if (!Number.isFinite(charged) || file > charged) return undefined
  return Math.max(charged - inactiveFile, anonymous)
}

/** cgroup v1 writes "no limit" as a number near 2^63, v2 as `max`. */
const NO_LIMIT = 2 ** 60

function bytes(text: string | undefined): number {
  if (text === undefined || text.trim() === '') return Number.POSITIVE_INFINITY
  const value = Number(text)
  return value >= 0 && value < NO_LIMIT ? value : Number.POSITIVE_INFINITY
}

/** A group can be closed to all memory. Shares of its limit are still numbers: it counts as a byte. */
function limitOf(...texts: readonly (string | undefined)[]): number {
  return Math.max(1, Math.min(...texts.map(bytes)))
}

/** A file of `<name> <number>` lines. */
function fields(text = ''): Map<string, number> {
  const found = new Map<string, number>()
  for (const line of text.split('\n')) {
    const [name = '', value] = line.split(' ')
    if (value !== undefined && Number.isFinite(Number(value))) found.set(name, Number(value))
  }
  return found
}
