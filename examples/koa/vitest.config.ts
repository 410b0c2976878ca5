import { defineProject } from 'vitest/config'

export default defineProject({
  test: {
    name: 'example-koa',
    // These tests measure this machine, or run several processes: one file at a time.
    maxWorkers: 1,
    sequence: { groupOrder: 2 },
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
