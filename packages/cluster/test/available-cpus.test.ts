import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { availableCpus } from '@spillway/kit'
import { describe, expect, it } from 'vitest'
import { folder } from './folder.js'

describe('K22 the number of CPUs', () => {
  function quota(files: Readonly<Record<string, string>>): number {
    const fs = folder()
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(fs, name, '..'), { recursive: true })
      writeFileSync(join(fs, name), text)
    }
    const self = join(fs, 'self')
    writeFileSync(self, '0::/\n1:cpu,cpuacct:/\n')
    return availableCpus({ fs, self })
  }

  it('is the quota rounded up, in cgroup v1 and v2, and never more than the scheduler offers', () => {
    const most = quota({})
    expect(quota({ 'cpu.max': '50000 100000' })).toBe(1)
    expect(quota({ 'cpu.max': '150000 100000' })).toBe(Math.min(2, most))
    expect(quota({ 'cpu/cpu.cfs_quota_us': '150000', 'cpu/cpu.cfs_period_us': '100000' })).toBe(
      Math.min(2, most),
    )
    expect(quota({ 'cpu.max': '9000000 100000' })).toBe(most)
    expect(quota({ 'cpu.max': 'max 100000' })).toBe(most)
  })
})
