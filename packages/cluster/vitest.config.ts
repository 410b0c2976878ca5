import { defineProject } from 'vitest/config'

export default defineProject({
  test: {
    name: 'cluster',
    // These tests wait for servers most of the time: two files at once leave no core idle.
    maxWorkers: 2,
    sequence: { groupOrder: 1 },
    include: ['test/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    restoreMocks: true,
  },
})
