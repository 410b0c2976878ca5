import { fileURLToPath } from 'node:url'
import { defineConfig } from 'tsup'

const root = fileURLToPath(new URL('.', import.meta.url))

/**
 * One build for every published package: ESM and CJS, types for both, one file per entry, with the private kit
 * inlined. The kit's types are inlined through `paths` in tsconfig.base.json; tsup's own `dts.resolve` would leave
 * the private import in place without a word.
 */
export function bundle(entries: readonly string[]) {
  return defineConfig({
    entry: Object.fromEntries(entries.map((name) => [name, `src/${name}.ts`])),
    format: ['esm', 'cjs'],
    target: 'node20',
    platform: 'node',
    outDir: 'dist',
    clean: true,
    // tsup reads `paths` relative to the package unless it is told where the base config stands.
    dts: { compilerOptions: { baseUrl: root } },
    splitting: true,
    shims: true,
    sourcemap: false,
    treeshake: false,
    noExternal: [/^@spillway\/kit/],
  })
}
