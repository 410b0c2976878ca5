import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { availableCpus, type CgroupRoots, cgroupDirectories, cpuQuota } from '../src/cgroup.js'

let base: string
let roots: CgroupRoots

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'cgroup-'))
  roots = { fs: join(base, 'fs'), self: join(base, 'self') }
})

afterEach(() => rmSync(base, { recursive: true }))

/** A tree of control files as the kernel shows them, and the process's place in it. */
function tree(self: string, files: Readonly<Record<string, string>>): void {
  writeFileSync(roots.self!, self)
  for (const [name, text] of Object.entries(files)) {
    const file = join(roots.fs!, name)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, `${text}\n`)
  }
}

describe('cgroup v2', () => {
  it('reads the quota of the own group', () => {
    tree('0::/app\n', { 'app/cpu.max': '150000 100000' })
    expect(cpuQuota(roots)).toBe(1.5)
  })

  it('takes the tightest limit on the way up', () => {
    tree('0::/kube/pod/app\n', {
      'cpu.max': 'max 100000',
      'kube/cpu.max': '50000 100000',
      'kube/pod/cpu.max': '200000 100000',
      'kube/pod/app/cpu.max': 'max 100000',
    })
    expect(cpuQuota(roots)).toBe(0.5)
  })

  it('has no limit where it says max, or says nothing', () => {
    tree('0::/app\n', { 'app/cpu.max': 'max 100000' })
    expect(cpuQuota(roots)).toBeUndefined()
    tree('0::/elsewhere\n', {})
    expect(cpuQuota(roots)).toBeUndefined()
  })

  it('reads the mounted root when the path is the one of the host', () => {
    tree('0::/docker/0123456789ab\n', { 'cpu.max': '25000 100000' })
    expect(cpuQuota(roots)).toBe(0.25)
  })

  it.each(['', 'nonsense', '0 100000', '-1 100000', '50000', '50000 0', 'NaN NaN'])(
    'takes "%s" for no quota',
    (text) => {
      tree('0::/\n', { 'cpu.max': text })
      expect(cpuQuota(roots)).toBeUndefined()
    },
  )
})

describe('cgroup v1', () => {
  const self = '12:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n'

  it('reads the quota of its controller', () => {
    tree(self, {
      'cpu/docker/abc/cpu.cfs_quota_us': '300000',
      'cpu/docker/abc/cpu.cfs_period_us': '100000',
    })
    expect(cpuQuota(roots)).toBe(3)
  })

  it('has no limit at -1 CPU', () => {
    tree(self, {
      'cpu/cpu.cfs_quota_us': '-1',
      'cpu/cpu.cfs_period_us': '100000',
    })
    expect(cpuQuota(roots)).toBeUndefined()
  })

  it('takes the tighter one in the hybrid layout', () => {
    tree(`${self}0::/app\n`, {
      'app/cpu.max': '400000 100000',
      'cpu/docker/abc/cpu.cfs_quota_us': '100000',
      'cpu/docker/abc/cpu.cfs_period_us': '100000',
    })
    expect(cpuQuota(roots)).toBe(1)
  })
})

describe('availableCpus', () => {
  it('is the quota rounded up, at least 1, and never more than the scheduler offers', () => {
    tree('0::/\n', { 'cpu.max': '10000 100000' })
    expect(availableCpus(roots)).toBe(1)
    tree('0::/\n', { 'cpu.max': '150000 100000' })
    expect(availableCpus(roots)).toBe(Math.min(2, availableParallelism()))
    tree('0::/\n', { 'cpu.max': '99900000 100000' })
    expect(availableCpus(roots)).toBe(availableParallelism())
  })

  it('is what the scheduler offers without control groups', () => {
    expect(availableCpus({ fs: join(base, 'none'), self: join(base, 'none') })).toBe(availableParallelism())
  })
})

describe('cgroupDirectories', () => {
  it('goes from the innermost group to the root', () => {
    tree('0::/a/b\n', {})
    const { fs } = roots
    expect(cgroupDirectories('', roots)).toEqual([join(fs!, 'a/b'), join(fs!, 'a'), fs])
  })

  it('keeps a colon in a path', () => {
    tree('0::/a:b\n', {})
    expect(cgroupDirectories('', roots)).toEqual([join(roots.fs!, 'a:b'), roots.fs])
  })

  it('is the root alone for a controller the process is not in', () => {
    tree('0::/a\n', {})
    expect(cgroupDirectories('memory', roots)).toEqual([join(roots.fs!, 'memory')])
  })
})
