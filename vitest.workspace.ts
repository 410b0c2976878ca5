import { defineConfig } from 'vitest/config'

// vitest 4 ignores a workspace file it is not told about: always run with `--config vitest.workspace.ts`.
export default defineConfig({
  test: {
    projects: ['packages/*/vitest.config.ts', 'examples/*/vitest.config.ts'],
  },
})
