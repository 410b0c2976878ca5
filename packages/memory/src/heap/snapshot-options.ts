import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import {
  boolean,
  type Duration,
  duration,
  integer,
  nested,
  number,
  orFalse,
  type Size,
  size,
  string,
} from '@spillway/kit'

export interface SnapshotOptions {
  /** Private directory (0700) of the files (0600). Default: `spillway-memory-<user id>` in the system's temporary one. */
  readonly directory?: string
  /** Files kept; the oldest go first. Default: 4. */
  readonly maxFiles?: number
  /** The least time between two snapshots. Default: 1 minute. */
  readonly cooldown?: Duration
  /** A larger heap is not written: the process stands still for about 90 ms per MB. Default: 512 MB. */
  readonly maxHeap?: Size
  /** Free memory needed, as a multiple of the heap in use. Default: 13, measured for small objects. */
  readonly memoryFactor?: number
  /** Disk space that must be left when the file is written. Default: 1 GB. */
  readonly minFreeDisk?: Size
  /** Write one when memory gets critical; the process stands still meanwhile. Default: false. */
  readonly onCritical?: boolean
  /** Write one when a leak is suspected and one when it is confirmed, and name the holder. Default: false. */
  readonly onLeak?: boolean
  /**
   * Last resort: let V8 itself write so many snapshots when the heap is nearly full, into the directory that Node is
   * started with as `--diagnostic-dir` (give it `directory`), else the working directory. It may run out of memory before
   * it is done. Cannot be switched off again in this process. Default: false.
   */
  readonly nearHeapLimit?: number | false
}

export const SNAPSHOT_DEFAULTS = Object.freeze({
  directory: join(tmpdir(), `spillway-memory-${userInfo().uid}`),
  maxFiles: 4,
  cooldown: 60_000,
  maxHeap: 512 * 1024 ** 2,
  memoryFactor: 13,
  minFreeDisk: 1024 ** 3,
  onCritical: false,
  onLeak: false,
  nearHeapLimit: false,
} satisfies SnapshotOptions)

const policy = nested(
  {
    directory: string(),
    maxFiles: integer({ min: 1 }),
    cooldown: duration(),
    maxHeap: size(),
    memoryFactor: number({ min: 1 }),
    minFreeDisk: size(),
    onCritical: boolean,
    onLeak: boolean,
    nearHeapLimit: orFalse(integer({ min: 1 })),
  },
  SNAPSHOT_DEFAULTS,
)
export const snapshotOptions = orFalse(policy)
export type SnapshotPolicy = ReturnType<typeof policy>
