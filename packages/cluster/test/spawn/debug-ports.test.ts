import { describe, expect, it } from 'vitest'
import { DebugPorts } from '../../src/spawn/debug-ports.js'

describe('K27 DebugPorts', () => {
  it('gives each worker the lowest port that is free, and the same ones again', () => {
    const ports = new DebugPorts(['--import', 'tsx', '--inspect=127.0.0.1:4000'])
    expect([ports.take(), ports.take()]).toEqual([4_000, 4_001])
    ports.release(4_000)
    expect([ports.take(), ports.take()]).toEqual([4_000, 4_002])
  })

  it('leaves the port of the primary alone, and gives none when no debugger was asked for', () => {
    expect(new DebugPorts(['--inspect'], 'ws://127.0.0.1:9229/id').take()).toBe(9_230)
    expect(new DebugPorts(['--inspect-brk=[::1]:0'], undefined).take()).toBe(0)
    expect(new DebugPorts(['--inspector-gadget'], undefined).take()).toBeUndefined()
  })
})
