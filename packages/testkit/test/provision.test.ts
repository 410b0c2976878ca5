import { describe, expect, it } from 'vitest'
import { installCommand, locate } from '../src/index.js'

describe('the servers on this machine', () => {
  it('are found by name, by environment variable first', () => {
    expect(locate('redis')).toMatch(/\/redis-server$/)
    process.env.SPILLWAY_REDIS_SERVER = process.execPath
    try {
      expect(locate('redis')).toBe(process.execPath)
      process.env.SPILLWAY_REDIS_SERVER = '/no/such/program'
      expect(() => locate('redis')).toThrow('SPILLWAY_REDIS_SERVER names no program: /no/such/program')
    } finally {
      delete process.env.SPILLWAY_REDIS_SERVER
    }
  })

  it('are installed by one command, each package once', () => {
    expect(installCommand(['mariadb', 'mariadbInstallDb', 'nginx'])).toMatch(/ mariadb-server nginx$/)
  })
})
