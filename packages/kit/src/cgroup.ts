import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

/**
 * The CPUs that the container allows, read from Linux control groups (cgroup v2: `cpu.max`; v1: `cpu.cfs_quota_us`). The
 * tightest limit on the way up the tree counts. Every reader takes the file roots, so that tests bring their own.
 */
export interface CgroupRoots {
  /** Default: `/sys/fs/cgroup`. */
  readonly fs?: string
  /** Default: `/proc/self/cgroup`. */
  readonly self?: string
}

/** CPUs the quota allows, with a fraction; `undefined` when there is no quota. */
export function cpuQuota(roots: CgroupRoots = {}): number | undefined {
  const v2 = climb(roots, '', (dir) => {
    const [quota, period] = read(join(dir, 'cpu.max'))?.split(/\s+/) ?? []
    return quota === undefined || quota === 'max' ? undefined : Number(quota) / Number(period)
  })
  const v1 = climb(roots, 'cpu', (dir) => {
    const quota = Number(read(join(dir, 'cpu.cfs_quota_us')) ?? Number.NaN)
    return quota > 0 ? quota / Number(read(join(dir, 'cpu.cfs_period_us'))) : undefined
  })
  return least(v2, v1)
}

/** CPUs this process can keep busy: what the scheduler offers, or the quota rounded up, whichever is less; at least 1. */
export function availableCpus(roots: CgroupRoots = {}): number {
  const quota = cpuQuota(roots)
  return Math.max(
    1,
    Math.min(availableParallelism(), quota === undefined ? Number.POSITIVE_INFINITY : Math.ceil(quota)),
  )
}

/** The directories of this process's group for a v1 controller (`''`: v2), innermost first. */
export function cgroupDirectories(
  controller: string,
  { fs = '/sys/fs/cgroup', self = '/proc/self/cgroup' }: CgroupRoots = {},
): string[] {
  const base = controller === '' ? fs : join(fs, controller)
  const line = (read(self) ?? '').split('\n').find((row) => {
    const controllers = row.split(':')[1]
    return controller === '' ? controllers === '' : controllers?.split(',').includes(controller)
  })
  const directories: string[] = []
  let path = line?.split(':').slice(2).join(':') ?? '/'
  // Inside a container the path may be the host's and not exist below the mounted root; the root itself always counts.
  while (path !== '/' && path !== '' && path !== '.') {
    directories.push(join(base, path))
    path = path.slice(0, path.lastIndexOf('/')) || '/'
  }
  directories.push(base)
  return directories
}

function climb(
  roots: CgroupRoots,
  controller: string,
  limitOf: (dir: string) => number | undefined,
): number | undefined {
  return least(...cgroupDirectories(controller, roots).map(limitOf))
}

function least(...limits: readonly (number | undefined)[]): number | undefined {
  const real = limits.filter(
    (limit): limit is number => limit !== undefined && Number.isFinite(limit) && limit > 0,
  )
  return real.length === 0 ? undefined : Math.min(...real)
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    return undefined
  }
}
