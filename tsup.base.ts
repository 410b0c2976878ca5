import { fileURLToPath } from 'node:url'
import { defineConfig, type Options } from 'tsup'

const root = fileURLToPath(new URL('.', import.meta.url))

/**
 * One build for every published package: ESM and CJS, types for both, one file per entry, with the private kit
 * inlined. The kit's types are inlined through `paths` in tsconfig.base.json; tsup's own `dts.resolve` would leave
 * the private import in place without a word.
 */
export function bundle(entries: readonly string[], { inline = [] }: { inline?: readonly string[] } = {}) {
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
    sourcemap: false,
    // Rollup writes the CommonJS files then. Without it sucrase does, whose classes lose their names, and whose `?.` and
    // `??` are calls of helpers.
    treeshake: true,
    removeNodeProtocol: false,
    // Of each file, not of a chunk that several share, as tsup's shim would have it; and not of a page, which jsdom plays.
    banner: ({ format }) => (format === 'cjs' ? { js: MODULE_URL } : {}),
    esbuildOptions(options, { format }) {
      if (format === 'cjs') options.define = { ...options.define, 'import.meta.url': 'moduleUrl' }
    },
    plugins: [CLASS_NAMES],
    noExternal: [/^@spillway\/kit/, ...inline],
  })
}

const MODULE_URL =
  'var moduleUrl = /* @__PURE__ */ (() => require("node:url").pathToFileURL(__filename).href)();'

/** esbuild calls a class that names itself `_Pool` and binds it to `Pool`: messages and stacks would show `_Pool`. */
const CLASS_NAMES: NonNullable<Options['plugins']>[number] = {
  name: 'class-names',
  renderChunk(code) {
    const names = [...code.matchAll(/^var (\w+) = class _\1\b/gm)].map(([, name]) => name)
    for (const name of names) code = code.replaceAll(new RegExp(`\\b_${name}\\b`, 'g'), `${name}`)
    return { code }
  },
}
