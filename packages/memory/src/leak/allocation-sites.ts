import { fileURLToPath } from 'node:url'
import { type Frame, type HeapProfile, type StackBytes, stacksOf } from '../heap/allocation-profile.js'
import type { LeakKind } from './growth-test.js'
import { SourceMaps } from './source-maps.js'

/** A place in the code whose allocations stay alive. */
export interface AllocationSite {
  readonly function: string
  /** `file:line:column`, led back to the source by its source map. */
  readonly place: string
  /** Bytes allocated here since the suspicion and still alive; for Buffers, estimated from the count of them. */
  readonly bytes: number
  /** Of all that was allocated since then and is alive, 0 to 1. */
  readonly share: number
  /** The calls that led here, nearest first, one `function (file:line:column)` each. */
  readonly stack: readonly string[]
}

const HERE = new URL(import.meta.url.includes('/src/leak/') ? '..' : '.', import.meta.url)
/** Folder of this package, as a URL and as a path. Unknown inside of an app's bundle. */
const OUR_FOLDERS = /\/memory\/(src|dist)\/$/.test(HERE.pathname) ? [HERE.href, fileURLToPath(HERE)] : []

const MOST_SITES = 5
/** Places with less are noise, of the profiler itself among others. */
const LEAST_SHARE = 0.02
const MOST_FRAMES = 12

/**
 * The places that allocated what stayed. A stack is named by its nearest frame in the app's own code, since what grows
 * there is rarely the fault of the library that made the object; without such a frame, by its nearest one.
 */
export async function sitesOf(
  profile: HeapProfile,
  kind: LeakKind,
  growth: number,
): Promise<AllocationSite[]> {
  const all = stacksOf(profile).filter(({ frames }) => !frames.some(isOurs))
  const stacks = kind === 'external' ? bufferStacks(all) : all
  const total = stacks.reduce((sum, stack) => sum + weight(stack, kind), 0)
  const places = new Map<string, { bytes: number; largest: StackBytes; site: Frame }>()
  for (const stack of stacks) {
    const site = stack.frames.find(isOwn) ?? stack.frames.find(({ url }) => url !== '')
    if (site === undefined) continue
    const key = `${site.function} ${placeOf(site)}`
    const place = places.get(key)
    if (place === undefined) places.set(key, { bytes: weight(stack, kind), largest: stack, site })
    else place.bytes += weight(stack, kind)
  }
  const top = [...places.values()]
    .filter(({ bytes }) => bytes >= LEAST_SHARE * total)
    .sort((a, b) => b.bytes - a.bytes)
    .slice(0, MOST_SITES)
  const maps = new SourceMaps()
  return Promise.all(
    top.map(async ({ bytes, largest, site }) => {
      const frames = largest.frames.filter(({ url }) => url !== '').slice(0, MOST_FRAMES)
      const [original, ...stack] = await Promise.all([site, ...frames].map((frame) => maps.original(frame)))
      const share = bytes / total
      return {
        function: original!.function,
        place: placeOf(original!),
        bytes: Math.round(kind === 'external' ? share * growth : bytes),
        share,
        stack: stack.map((frame) => `${frame.function} (${placeOf(frame)})`),
      }
    }),
  )
}

/** The profiler sees the wrapper of a Buffer, not its memory: what counts is how many there are. */
function weight(stack: StackBytes, kind: LeakKind): number {
  return kind === 'external' ? stack.count : stack.bytes
}

/** Stacks in which Node makes Buffers; all stacks when there are none (an `ArrayBuffer` of one's own, an addon). */
function bufferStacks(stacks: readonly StackBytes[]): readonly StackBytes[] {
  const found = stacks.filter(({ frames }) => frames.some(({ url }) => url === 'node:buffer'))
  return found.length > 0 ? found : stacks
}

/** Allocations of the profiler and of the monitor itself, which reads the kernel's files into Buffers. */
function isOurs({ url }: Frame): boolean {
  return url === 'node:inspector' || OUR_FOLDERS.some((folder) => url.startsWith(folder))
}

function isOwn({ url }: Frame): boolean {
  return url !== '' && !url.startsWith('node:') && !url.includes('/node_modules/')
}

function placeOf({ url, line, column }: Frame): string {
  return url === '' ? '(native)' : `${url}:${line}:${column}`
}
