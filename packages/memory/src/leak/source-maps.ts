import { readFile } from 'node:fs/promises'
import { findSourceMap, SourceMap } from 'node:module'
import { dirname, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Frame } from '../heap/allocation-profile.js'

/** The last one of a script counts (Source Map specification, ECMA-426). */
const NAME = 'sourceMappingURL='
/** What stands before the name, in a comment of its own, and the characters that end the reference. */
const OPENING = /\/[/*][#@]\s?$/
const END = /[\s'"*]/

/** The reference to the map in a script. Searched from the end, in linear time. */
function referenceIn(script: string): string | undefined {
  const at = script.lastIndexOf(NAME)
  if (at === -1 || !OPENING.test(script.slice(Math.max(0, at - 4), at))) return undefined
  const rest = script.slice(at + NAME.length)
  const end = rest.search(END)
  const reference = end === -1 ? rest : rest.slice(0, end)
  return reference === '' ? undefined : reference
}

const INLINE = /^data:application\/json[^,]*?(;base64)?,/

/**
 * Maps places in built code to its sources. Takes the maps that Node has (`--enable-source-maps`), else reads them
 * where the script says they are. A place without a map stays as it is.
 */
export class SourceMaps {
  readonly #maps = new Map<string, Promise<SourceMap | undefined>>()

  async original(frame: Frame): Promise<Frame> {
    const path = pathOf(frame.url)
    if (path === undefined) return frame
    let loading = this.#maps.get(path)
    if (loading === undefined) this.#maps.set(path, (loading = load(path)))
    const entry = (await loading)?.findEntry(frame.line - 1, frame.column - 1)
    if (entry === undefined || !('originalSource' in entry)) return { ...frame, url: path }
    return {
      function: frame.function,
      url: placed(entry.originalSource, path),
      line: entry.originalLine + 1,
      column: entry.originalColumn + 1,
    }
  }
}

async function load(path: string): Promise<SourceMap | undefined> {
  const known = findSourceMap(path)
  if (known !== undefined) return known
  try {
    const reference = referenceIn(await readFile(path, 'utf8'))
    if (reference === undefined) return undefined
    const inline = INLINE.exec(reference)
    const text =
      inline === null
        ? await readFile(resolve(dirname(path), decodeURIComponent(reference)), 'utf8')
        : decode(reference.slice(inline[0].length), inline[1] !== undefined)
    return new SourceMap(JSON.parse(text))
  } catch {
    return undefined // a missing or broken map is no reason to lose the place in the built code
  }
}

function decode(data: string, base64: boolean): string {
  return base64 ? Buffer.from(data, 'base64').toString('utf8') : decodeURIComponent(data)
}

/** Sources stand relative to the script, or are URLs. */
function placed(source: string, script: string): string {
  if (source.startsWith('file:')) return fileURLToPath(source)
  return /^[a-z][a-z0-9+.-]*:/i.test(source) ? source : fileURLToPath(new URL(source, pathToFileURL(script)))
}

function pathOf(url: string): string | undefined {
  if (url.startsWith('file:')) return fileURLToPath(url)
  return url.startsWith('/') || /^[a-z]:\\/i.test(url) ? url : undefined
}
