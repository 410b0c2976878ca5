import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { misuse } from '@spillway/kit'

/**
 * Href of what makes a thread understand a TypeScript module: tsx where it is installed, beside the module or the
 * program. `undefined` where Node has to do, which only strips types and so knows no enums and no parameter properties.
 *
 * @throws Error `ERR_OFFLOAD_TYPESCRIPT` when there is neither
 */
export function typescriptLoader(
  href: string,
  places: readonly string[] = placesAround(href),
  native: boolean = stripsTypes(),
): string | undefined {
  for (const place of places) {
    try {
      const commonjs = pathToFileURL(createRequire(place).resolve('tsx/esm/api')).href
      // Its CommonJS twin looks for its hooks in the wrong folder.
      return commonjs.replace(/\.cjs$/, '.mjs')
    } catch {
      // Not installed there; the next place may have it.
    }
  }
  if (native) return undefined
  throw misuse(
    Error,
    'ERR_OFFLOAD_TYPESCRIPT',
    `${href} is TypeScript, which Node ${process.versions.node} does not run: install tsx, or compile it`,
  )
}

function placesAround(href: string): string[] {
  const program = `${process.cwd()}/package.json`
  return href.startsWith('file:') ? [fileURLToPath(href), program] : [program]
}

/** Node 22.18 and later. */
function stripsTypes(): boolean {
  return 'typescript' in process.features && Boolean(process.features.typescript)
}
