import { closeSync, openSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { LogOutput } from '../../src/logs/log-output.js'
import { folder } from '../folder.js'

describe('LogOutput', () => {
  it('K34 keeps lines whole and in order, and goes on in a new file after logrotate', async () => {
    const path = join(folder(), 'app.log')
    const output = new LogOutput(path, 1_000_000)
    for (let i = 0; i < 1_000; i++) output.write(`line ${i}`)
    renameSync(path, `${path}.1`)
    output.reopen()
    output.write('after')
    await output.close()
    const lines = (readFileSync(`${path}.1`, 'utf8') + readFileSync(path, 'utf8')).trimEnd().split('\n')
    expect(lines).toEqual([...Array.from({ length: 1_000 }, (_, i) => `line ${i}`), 'after'])
    expect(output.stats).toEqual({ dropped: 0, error: undefined })
  })

  it('K34 drops and counts on a full disk, and does not fail', async () => {
    const full = openSync('/dev/full', 'w')
    onTestFinished(() => closeSync(full))
    const output = new LogOutput(full, 1_000_000)
    output.write('one')
    output.write('two')
    await output.close()
    expect(output.stats).toEqual({ dropped: 2, error: 'ENOSPC' })
  })

  it('K34 holds no more than it may', async () => {
    const output = new LogOutput(join(folder(), 'app.log'), 100)
    for (let i = 0; i < 1_000; i++) output.write('x'.repeat(49))
    expect(output.stats.dropped).toBe(998)
    await output.close()
  })
})
