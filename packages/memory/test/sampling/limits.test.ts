import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { heapAdvice } from '../../src/advice.js'
import { memoryGroups } from '../../src/sampling/cgroup.js'
import { Limits } from '../../src/sampling/limits.js'
import { parsePressure } from '../../src/sampling/pressure.js'
import { closeAll, FakeSystem, GB, MB, stand } from '../support.js'

afterEach(closeAll)

const V2_MOUNT = '30 22 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw'
const V1_MOUNT = '31 22 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory'

function v2(directory: string, { max = 'max', high = 'max', current = 0, anon = 0, file = 0, inactive = 0 }) {
  return {
    [`${directory}/memory.max`]: `${max}\n`,
    [`${directory}/memory.high`]: `${high}\n`,
    [`${directory}/memory.current`]: `${current}\n`,
    [`${directory}/memory.stat`]: `anon ${anon}\nfile ${file}\nkernel 12\ninactive_file ${inactive}\n`,
  }
}

function v1(
  directory: string,
  { limit = '9223372036854771712', usage = 0, rss = 0, cache = 0, inactive = 0 },
) {
  return {
    [`${directory}/memory.limit_in_bytes`]: `${limit}\n`,
    [`${directory}/memory.usage_in_bytes`]: `${usage}\n`,
    [`${directory}/memory.stat`]: `rss 1\ntotal_rss ${rss}\ntotal_cache ${cache}\ntotal_inactive_file ${inactive}\n`,
  }
}

interface Tree {
  readonly title: string
  readonly mounts: string
  readonly self: string
  readonly files: Record<string, string>
  readonly limit: number
  readonly used: number
  readonly source: string
}

const RSS = 100 * MB
const root = '/sys/fs/cgroup'

const TREES: readonly Tree[] = [
  {
    title: 'v2, the limit on the leaf',
    mounts: V2_MOUNT,
    self: '0::/app',
    files: v2(`${root}/app`, { max: `${512 * MB}`, current: 200 * MB, anon: 150 * MB, inactive: 20 * MB }),
    limit: 512 * MB,
    used: 180 * MB,
    source: `cgroup:${root}/app`,
  },
  {
    title: 'v2, memory.high below memory.max',
    mounts: V2_MOUNT,
    self: '0::/app',
    files: v2(`${root}/app`, { max: `${512 * MB}`, high: `${400 * MB}`, current: 100 * MB }),
    limit: 400 * MB,
    used: 100 * MB,
    source: `cgroup:${root}/app`,
  },
  {
    title: 'v2, a parent with a limit over a leaf without',
    mounts: V2_MOUNT,
    self: '0::/pod/app',
    files: {
      ...v2(`${root}/pod/app`, { current: 100 * MB }),
      ...v2(`${root}/pod`, { max: `${512 * MB}`, current: 300 * MB }),
    },
    limit: 512 * MB,
    used: 300 * MB,
    source: `cgroup:${root}/pod`,
  },
  {
    title: 'v2, a wide parent that is fuller than a tight leaf',
    mounts: V2_MOUNT,
    self: '0::/pod/app',
    files: {
      ...v2(`${root}/pod/app`, { max: `${200 * MB}`, current: 50 * MB }),
      ...v2(`${root}/pod`, { max: `${1_000 * MB}`, current: 900 * MB }),
    },
    limit: 1_000 * MB,
    used: 900 * MB,
    source: `cgroup:${root}/pod`,
  },
  {
    title: 'v2, a container whose mount is bound to its own group',
    mounts: '30 22 0:27 /kubepods/pod1/abc /sys/fs/cgroup ro - cgroup2 cgroup2 rw',
    self: '0::/kubepods/pod1/abc',
    files: v2(root, { max: `${256 * MB}`, current: 64 * MB }),
    limit: 256 * MB,
    used: 64 * MB,
    source: `cgroup:${root}`,
  },
  {
    title: 'v2, a namespace of its own: the path is /',
    mounts: V2_MOUNT,
    self: '0::/',
    files: v2(root, { max: `${256 * MB}`, current: 64 * MB }),
    limit: 256 * MB,
    used: 64 * MB,
    source: `cgroup:${root}`,
  },
  {
    title: 'v2, a path outside of the namespace',
    mounts: V2_MOUNT,
    self: '0::/../../elsewhere',
    files: v2(root, { max: `${256 * MB}`, current: 64 * MB }),
    limit: 256 * MB,
    used: 64 * MB,
    source: `cgroup:${root}`,
  },
  {
    title: 'v2, a group that is closed to all memory, and nothing is charged to it yet',
    mounts: V2_MOUNT,
    self: '0::/app',
    files: v2(`${root}/app`, { max: '0' }),
    limit: 1,
    used: 0,
    source: `cgroup:${root}/app`,
  },
  {
    title: 'v1, a group that is closed to all memory',
    mounts: V1_MOUNT,
    self: '4:memory:/app',
    files: v1(`${root}/memory/app`, { limit: '0', usage: 4096, rss: 4096 }),
    limit: 1,
    used: 4096,
    source: `cgroup:${root}/memory/app`,
  },
  {
    title: 'v1, the limit on the leaf',
    mounts: V1_MOUNT,
    self: '4:memory:/app',
    files: {
      ...v1(`${root}/memory/app`, { limit: `${512 * MB}`, usage: 200 * MB, rss: 90 * MB, inactive: 50 * MB }),
      ...v1(`${root}/memory`, {}),
    },
    limit: 512 * MB,
    used: 150 * MB,
    source: `cgroup:${root}/memory/app`,
  },
  {
    title: 'v1, a parent with a limit',
    mounts: V1_MOUNT,
    self: '11:hugetlb:/x\n4:cpu,memory:/pod/app',
    files: {
      ...v1(`${root}/memory/pod/app`, { usage: 10 * MB }),
      ...v1(`${root}/memory/pod`, { limit: `${512 * MB}`, usage: 100 * MB }),
    },
    limit: 512 * MB,
    used: 100 * MB,
    source: `cgroup:${root}/memory/pod`,
  },
  {
    title: 'v1, a docker host path that is not below the mount',
    mounts: V1_MOUNT,
    self: '4:memory:/docker/abc',
    files: v1(`${root}/memory`, { limit: `${512 * MB}`, usage: 100 * MB }),
    limit: 512 * MB,
    used: 100 * MB,
    source: `cgroup:${root}/memory`,
  },
  {
    title: 'hybrid: an empty v2 mount, memory on v1',
    mounts: `${V1_MOUNT}\n32 22 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw`,
    self: '4:memory:/app\n0::/',
    files: v1(`${root}/memory/app`, { limit: `${512 * MB}`, usage: 100 * MB }),
    limit: 512 * MB,
    used: 100 * MB,
    source: `cgroup:${root}/memory/app`,
  },
  {
    title: 'a mount point with a space in its name',
    mounts: '30 22 0:27 / /mnt/my\\040groups rw - cgroup2 cgroup2 rw',
    self: '0::/app',
    files: v2('/mnt/my groups/app', { max: `${512 * MB}`, current: 100 * MB }),
    limit: 512 * MB,
    used: 100 * MB,
    source: 'cgroup:/mnt/my groups/app',
  },
  {
    title: 'no limit anywhere: the RAM',
    mounts: V2_MOUNT,
    self: '0::/app',
    files: v2(`${root}/app`, { current: 100 * MB }),
    limit: 8 * GB,
    used: RSS,
    source: 'ram',
  },
  {
    title: 'a limit beyond the RAM is none',
    mounts: V2_MOUNT,
    self: '0::/app',
    files: v2(`${root}/app`, { max: `${64 * GB}`, current: 100 * MB }),
    limit: 8 * GB,
    used: RSS,
    source: 'ram',
  },
  { title: 'no Linux', mounts: '', self: '', files: {}, limit: 8 * GB, used: RSS, source: 'ram' },
]

function systemOf({ mounts, self, files }: Pick<Tree, 'mounts' | 'self' | 'files'>): FakeSystem {
  const system = new FakeSystem()
  system.files = { '/proc/self/mountinfo': mounts, '/proc/self/cgroup': self, ...files }
  return system
}

describe('M2: the limit that binds', () => {
  it.each(TREES)('$title', (tree) => {
    const { limit, used, source } = new Limits(systemOf(tree), 'auto').read(RSS, 0)
    expect({ limit, used, source }).toEqual({ limit: tree.limit, used: tree.used, source: tree.source })
  })

  it('a size of your own counts beside the groups', () => {
    const tree = TREES[0]!
    expect(new Limits(systemOf(tree), 150 * MB).read(RSS, 0)).toEqual({
      used: RSS,
      limit: 150 * MB,
      source: 'option',
    })
  })

  it('is read anew every minute: a container can be resized', () => {
    const system = systemOf(TREES[0]!)
    const limits = new Limits(system, 'auto')
    limits.read(RSS, 0)
    system.files[`${root}/app/memory.max`] = `${GB}\n`
    expect(limits.read(RSS, 59_000).limit).toBe(512 * MB)
    expect(limits.read(RSS, 60_000).limit).toBe(GB)
  })

  it('workers share the RAM', () => {
    process.env.SPILLWAY_WORKERS = '4'
    try {
      expect(new Limits(new FakeSystem(), 'auto').read(RSS, 0).limit).toBe(2 * GB)
    } finally {
      delete process.env.SPILLWAY_WORKERS
    }
  })
})

describe('M1: what Node is constrained to', () => {
  it.each([[18446744073709552000], [0], [undefined], [9 * GB]])('%s is no limit', (constrained) => {
    const system = new FakeSystem()
    system.constrained = constrained
    expect(new Limits(system, 'auto').read(RSS, 0).source).toBe('ram')
  })

  it('a smaller number is one', () => {
    const system = new FakeSystem()
    system.constrained = GB
    expect(new Limits(system, 'auto').read(RSS, 0)).toEqual({ used: RSS, limit: GB, source: 'constrained' })
  })
})

describe('M4: a heap that outgrows its container', () => {
  it('is told the exact flag', () => {
    expect(heapAdvice(262 * MB, 256 * MB)).toContain('--max-old-space-size=192')
    expect(heapAdvice(200 * MB, 256 * MB)).toBeUndefined()
  })

  it('pressure is the larger of heap against its limit and working set against its own', () => {
    const { system, monitor, pass } = stand({}, systemOf(TREES[0]!))
    system.heap = 100 * MB
    system.usage.heapUsed = 95 * MB
    pass(1_000)
    expect(monitor.level).toBe('critical')
    expect(monitor.reasons.map(({ signal, source }) => [signal, source])).toEqual([['heap', 'V8 heap limit']])
  })
})

it('M5: a fresh process, whose heap is full by its own measure, is well', () => {
  const { system, monitor, pass } = stand()
  system.heap = 6.5 * GB
  system.usage = { rss: 450 * MB, heapTotal: 405 * MB, heapUsed: 390 * MB, external: MB, arrayBuffers: 0 }
  pass(2_000)
  expect(monitor.level).toBe('ok')
})

describe('M6: page cache', () => {
  const tree = { mounts: V2_MOUNT, self: '0::/app' }

  it('that the kernel can drop does not count', () => {
    const files = v2(`${root}/app`, {
      max: `${5 * GB}`,
      current: 4.8 * GB,
      anon: 1.5 * GB,
      file: 3 * GB,
      inactive: 3 * GB,
    })
    const { monitor, pass } = stand({}, systemOf({ ...tree, files }))
    pass(2_000)
    expect(monitor.level).toBe('ok')
    expect(monitor.stats().sample.memory.used / GB).toBeCloseTo(1.8)
  })

  it('a reading that contradicts itself is not believed', () => {
    const system = systemOf({
      ...tree,
      files: v2(`${root}/app`, { max: `${5 * GB}`, current: 2 * GB, file: GB }),
    })
    const limits = new Limits(system, 'auto')
    const before = limits.read(RSS, 0)
    Object.assign(system.files, v2(`${root}/app`, { max: `${5 * GB}`, current: 4.9 * GB, file: 5 * GB }))
    expect(limits.read(RSS, 250)).toEqual(before)
  })
})

describe('M21: the kernel in distress', () => {
  const files = v2(`${root}/app`, { max: `${GB}`, current: 100 * MB })
  const tree = { mounts: V2_MOUNT, self: '0::/app' }
  const stall = (avg10: number, total: number) =>
    `some avg10=90.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=${avg10.toFixed(2)} avg60=0.00 avg300=0.00 total=${total}\n`

  it('stalls raise the level, and it falls when they are over, not half a minute later', () => {
    const { system, monitor, pass } = stand({}, systemOf({ ...tree, files }))
    let total = 0
    pass(1_000, () => {
      total += 30_000
      system.files[`${root}/app/memory.pressure`] = stall(12, total)
    })
    expect(monitor.level).toBe('elevated')
    expect(monitor.reasons[0]).toMatchObject({ signal: 'pressure', value: 12 })
    pass(8_000) // avg10 still says 12, the total stands still
    expect(monitor.level).toBe('ok')
  })

  it('a kill in the group is critical', () => {
    const { system, monitor, pass } = stand({}, systemOf({ ...tree, files }))
    system.files[`${root}/app/memory.events`] = 'low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n'
    pass(500)
    system.files[`${root}/app/memory.events`] = 'low 0\nhigh 0\nmax 9\noom 1\noom_kill 1\n'
    pass(1_000)
    expect(monitor.level).toBe('critical')
  })

  it('running into the limit with page cache alone is no alarm', () => {
    const { system, monitor, pass } = stand({}, systemOf({ ...tree, files }))
    let hits = 0
    pass(3_000, () => {
      system.files[`${root}/app/memory.events`] = `high 0\nmax ${hits++}\noom_kill 0\n`
    })
    expect(monitor.level).toBe('ok')
  })
})

it('what the kernel writes is never trusted to be well-formed', () => {
  const line = fc.oneof(
    fc.string(),
    fc.constantFrom('0::/a', '4:memory:/a/b', V2_MOUNT, V1_MOUNT, '0', 'full avg10=x total=', '- - -', ':::'),
  )
  const text = fc.array(line, { maxLength: 6 }).map((lines) => lines.join('\n'))
  fc.assert(
    fc.property(text, text, text, text, (mounts, self, content, stall) => {
      const readFile = (path: string) =>
        path === '/proc/self/mountinfo' ? mounts : path === '/proc/self/cgroup' ? self : content
      for (const group of memoryGroups({ readFile })) {
        const used = group.workingSet()
        expect(used === undefined || used >= 0).toBe(true)
        expect(group.limit).toBeGreaterThanOrEqual(0)
        group.limitHits()
        group.kills()
      }
      const system = Object.assign(new FakeSystem(), { readFile })
      const { used, limit } = new Limits(system, 'auto').read(RSS, 0)
      expect(Number.isNaN(used / limit)).toBe(false)
      parsePressure(stall)
    }),
    { numRuns: 300 },
  )
})

it('M49: what Node is constrained to is read once a minute, not at every sample', () => {
  const system = new FakeSystem()
  let reads = 0
  system.constrainedMemory = () => {
    reads++
    return 2 * GB
  }
  const { monitor, pass } = stand({}, system)
  pass(50_000)
  expect(monitor.stats().sample.memory).toMatchObject({ limit: 2 * GB, source: 'constrained' })
  expect(reads).toBe(1)
  pass(15_000)
  expect(reads).toBe(2)
})
