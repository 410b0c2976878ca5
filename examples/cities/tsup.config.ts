import { defineConfig } from 'tsup'

// The story app is not published. The servers of the testkit, which come as TypeScript, are bundled with it.
export default defineConfig({
  entry: ['src/main.ts', 'src/worker.ts', 'src/tasks.ts'],
  format: 'esm',
  target: 'node20',
  platform: 'node',
  outDir: 'dist',
  clean: true,
  splitting: true,
  noExternal: ['@spillway/testkit'],
  external: ['undici', 'ioredis', 'mysql2'],
})
