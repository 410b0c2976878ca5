import { defineProject } from 'vitest/config'

export default defineProject({
  test: {
    name: 'memory',
    // These tests measure this machine, or run several processes: one file at a time.
    maxWorkers: 1,
    sequence: { groupOrder: 2 },
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    restoreMocks: true,
  },
})
