import { afterEach, describe, expect, it, vi } from 'vitest'
import { provision } from '../provision.mjs'
import { installCommand, locate } from '../src/index.js'

afterEach(() => vi.unstubAllEnvs())

describe('the servers on this machine', () => {
  it('are found by name, by environment variable first', () => {
    expect(locate('redis')).toMatch(/\/redis-server$/)
    vi.stubEnv('SPILLWAY_REDIS_SERVER', process.execPath)
    expect(locate('redis')).toBe(process.execPath)
    vi.stubEnv('SPILLWAY_REDIS_SERVER', '/no/such/program')
    expect(() => locate('redis')).toThrow('SPILLWAY_REDIS_SERVER names no program: /no/such/program')
  })

  it('are missed with the exact command to type, and the variable that names them', () => {
    vi.stubEnv('PATH', '/no/such/folder')
    expect(() => provision(['redis'])).toThrow(
      /^Missing redis-server \(.*\)\. Type:\n {2}sudo apt-get update && sudo apt-get install -y --no-install-recommends redis-server\nor say where they are with SPILLWAY_REDIS_SERVER\.$/,
    )
  })

  it('are installed by one command, each package once', () => {
    expect(installCommand(['mariadb', 'mariadbInstallDb', 'nginx'])).toMatch(/ mariadb-server nginx$/)
  })
})
