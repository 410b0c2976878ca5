import { chmod, lstat, mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, channel } from '@spillway/kit'
import { SnapshotRefusedError } from '../errors.js'
import type { Sample } from '../sampling/sampler.js'
import type { System } from '../sampling/system.js'
import type { HeapProfile } from './allocation-profile.js'
import { captureNearHeapLimit } from './near-heap-limit.js'
import type { SnapshotPolicy } from './snapshot-options.js'

const written = channel<{ reason: string; bytes: number; milliseconds: number }>('spillway:memory:snapshot')

const SUFFIX = '.heapsnapshot'
const PROFILE_SUFFIX = '.heapprofile'
const PARTIAL = '.part'
/** Size of the file as a multiple of the heap, measured for small objects. */
const FILE_FACTOR = 2
const MB = 1024 ** 2

/**
 * Writes heap snapshots within the limits of the policy. A snapshot stops the process and takes many times the heap in
 * memory, so these are checked first: size of the heap, free memory, free disk, time since the last snapshot.
 */
export class SnapshotWriter {
  /** Snapshots written so far. */
  count = 0
  readonly #policy: SnapshotPolicy | false
  readonly #system: System
  readonly #clock: Clock
  #lastAt = Number.NEGATIVE_INFINITY
  #busy = false

  constructor(policy: SnapshotPolicy | false, system: System, clock: Clock) {
    this.#policy = policy
    this.#system = system
    this.#clock = clock
    if (policy !== false && policy.nearHeapLimit !== false) {
      captureNearHeapLimit(policy.nearHeapLimit, policy.directory)
    }
  }

  /**
   * Resolves to the path of the file. It has its final name only when it is whole and on the disk.
   *
   * @throws SnapshotRefusedError with a `reason` and, in the message, the numbers
   */
  async write(reason: string, sample: Sample): Promise<string> {
    const policy = this.#policy
    if (policy === false) throw new SnapshotRefusedError('disabled', 'Snapshots are switched off')
    if (this.#busy) throw new SnapshotRefusedError('busy', 'A snapshot is being written')
    this.#busy = true
    try {
      await openPrivate(policy.directory)
      this.#check(policy, sample)
      await makeRoom(policy.directory, SUFFIX, policy.maxFiles)
      return await this.#write(policy.directory, reason)
    } finally {
      this.#busy = false
    }
  }

  /** Writes a profile beside the snapshots, under the same rules for files; profiles are small and cost no pause. */
  async keepProfile(profile: HeapProfile): Promise<string> {
    const policy = this.#policy
    if (policy === false) throw new SnapshotRefusedError('disabled', 'Snapshots are switched off')
    await openPrivate(policy.directory)
    await makeRoom(policy.directory, PROFILE_SUFFIX, policy.maxFiles)
    const file = fileName(policy.directory, 'leak', PROFILE_SUFFIX)
    const partial = file + PARTIAL
    try {
      await writeFile(partial, JSON.stringify(profile), { mode: 0o600, flag: 'wx', flush: true })
      await rename(partial, file)
      return file
    } catch (error) {
      await rm(partial, { force: true })
      throw error
    }
  }

  #check({ cooldown, maxHeap, memoryFactor, minFreeDisk, directory }: SnapshotPolicy, sample: Sample): void {
    const waited = this.#clock.now() - this.#lastAt
    if (waited < cooldown) {
      const left = Math.ceil((cooldown - waited) / 1_000)
      throw new SnapshotRefusedError('cooldown', `The last snapshot is too recent: wait ${left} s`)
    }
    const heap = sample.heapUsed
    if (heap > maxHeap) {
      throw new SnapshotRefusedError(
        'heap',
        `The heap of ${mb(heap)} is larger than the allowed ${mb(maxHeap)}`,
      )
    }
    const free = this.#freeMemory(sample)
    if (free < heap * memoryFactor) {
      throw new SnapshotRefusedError(
        'memory',
        `A heap of ${mb(heap)} needs ${mb(heap * memoryFactor)} of free memory to be written, there are ${mb(free)}`,
      )
    }
    const disk = this.#system.freeDisk(directory)
    if (disk - heap * FILE_FACTOR < minFreeDisk) {
      throw new SnapshotRefusedError(
        'disk',
        `A heap of ${mb(heap)} takes about ${mb(heap * FILE_FACTOR)} of disk and ${mb(minFreeDisk)} must stay free, there are ${mb(disk)}`,
      )
    }
  }

  #freeMemory({ memory }: Sample): number {
    const available = /^MemAvailable:\s+(\d+) kB/m.exec(this.#system.readFile('/proc/meminfo') ?? '')
    const machine = available === null ? Number.POSITIVE_INFINITY : Number(available[1]) * 1024
    return Math.min(memory.limit - memory.used, machine)
  }

  async #write(directory: string, reason: string): Promise<string> {
    const file = fileName(directory, reason, SUFFIX)
    const start = performance.now()
    try {
      this.#system.writeHeapSnapshot(file + PARTIAL)
      const handle = await open(file + PARTIAL, 'r+')
      let bytes: number
      try {
        await handle.chmod(0o600)
        await handle.sync()
        bytes = (await handle.stat()).size
      } finally {
        await handle.close()
      }
      await rename(file + PARTIAL, file)
      this.count++
      this.#lastAt = this.#clock.now()
      written.publish(() => ({ reason, bytes, milliseconds: performance.now() - start }))
      return file
    } catch (error) {
      await rm(file + PARTIAL, { force: true })
      throw error
    }
  }
}

/** Makes the directory, readable by this user only. A symbolic link, or a directory of another user, is refused. */
async function openPrivate(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const stat = await lstat(directory)
  const mine = process.getuid === undefined || stat.uid === process.getuid()
  if (!stat.isDirectory() || !mine) {
    throw new SnapshotRefusedError('disk', `${directory} is not a directory of this user`)
  }
  if ((stat.mode & 0o077) !== 0) await chmod(directory, 0o700)
}

/** Removes partial files of processes that have ended, and the oldest snapshots beyond the cap. */
async function makeRoom(directory: string, suffix: string, maxFiles: number): Promise<void> {
  const names = (await readdir(directory)).filter((name) => OURS.test(name)).sort()
  const partial = names.filter((name) => name.endsWith(suffix + PARTIAL) && !isAlive(pidOf(name)))
  const whole = names.filter((name) => name.endsWith(suffix))
  const surplus = whole.slice(0, Math.max(0, whole.length - maxFiles + 1))
  for (const name of [...partial, ...surplus]) await rm(join(directory, name), { force: true })
}

/** Sorted by name, files are sorted by age. */
function fileName(directory: string, reason: string, suffix: string): string {
  const stamp = new Date().toISOString().replace(/[:.]/g, '-')
  return join(directory, `${stamp}-${process.pid}-${safe(reason)}${suffix}`)
}

/** Nothing else in the directory is touched. */
const OURS = /^\d{4}-\d\d-\d\dT[\d-]+Z-\d+-/

function pidOf(name: string): number {
  return Number(/Z-(\d+)-/.exec(name)?.[1] ?? Number.NaN)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

function safe(reason: string): string {
  return reason.replace(/[^a-z0-9]+/gi, '-').slice(0, 40)
}

function mb(bytes: number): string {
  return `${Math.round(bytes / MB)} MB`
}
