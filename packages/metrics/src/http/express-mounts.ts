/**
 * Finds the pattern under which a router of Express is mounted. Express gives a route only the text that the client wrote
 * (`req.baseUrl`), in any spelling; the pattern is in the layers of the routers. The layers are read and never changed.
 */

/** What this file reads of a layer of Express 4 (`regexp`, `keys`) and 5 (`rawPath`, `match`). */
interface Layer {
  readonly handle?: unknown
  readonly name?: string
  readonly route?: object
  readonly regexp?: RegExp & { readonly fast_slash?: boolean }
  readonly keys?: readonly { readonly name: string | number }[]
  readonly rawPath?: unknown
  readonly matchers?: readonly ((path: string) => false | { readonly path: string })[]
}

/** A router, or an app that has one under one of two names. */
interface Router {
  readonly stack?: readonly Layer[]
  readonly _router?: Router
  readonly router?: Router
  /** The app that this one is mounted in. */
  readonly parent?: object
}

/** One path from the app to a router: the mounts on it, outermost first. */
interface MountPath {
  readonly layers: readonly Layer[]
  readonly pattern: string
}

/** Name of a mount whose pattern cannot be known, such as that of a function that calls a router itself. */
const UNKNOWN = '(mounted)'
const DEEPEST = 16
const MOST_WAYS = 2_000
const MOST_LOOKS = 100

/** The mounts of one app. */
export class Mounts {
  static readonly #known = new WeakMap<object, Mounts>()
  /** The paths to each route that was found. */
  readonly #paths = new WeakMap<object, readonly MountPath[]>()
  /** Every mount, for routes of routers that are out of sight: those within a function. */
  #all: readonly MountPath[] = []
  #failedLooks = 0
  readonly #app: object

  private constructor(app: object) {
    this.#app = app
  }

  static of(app: object): Mounts {
    let mounts = Mounts.#known.get(app)
    if (mounts === undefined) Mounts.#known.set(app, (mounts = new Mounts(app)))
    return mounts
  }

  /** The pattern of the mount of a route that a request has matched. @param baseUrl what the client wrote there */
  patternOf(route: object, baseUrl: string): string {
    if (baseUrl === '') return ''
    let paths = this.#paths.get(route)
    if (paths === undefined) {
      if (this.#failedLooks < MOST_LOOKS) this.#look()
      paths = this.#paths.get(route) ?? []
      // A router in a function, or one that is made for each request.
      if (paths.length === 0) this.#failedLooks++
      this.#paths.set(route, paths)
    }
    if (paths.length === 1) return paths[0]!.pattern
    const led = ({ layers }: MountPath): boolean => matchesWhole(layers, baseUrl)
    return (paths.find(led) ?? this.#all.find(led))?.pattern ?? UNKNOWN
  }

  /** Walks through the routers again: routes may be added while the app runs. */
  #look(): void {
    const found = new Map<object, MountPath[]>()
    const all: MountPath[] = []
    for (const path of this.#startingPaths()) this.#walk(routerOf(this.#app), path, found, all, new Set())
    this.#all = all
    for (const [route, paths] of found) this.#paths.set(route, paths)
  }

  /** The paths to this app: in the app that it is mounted in, those to the functions that Express puts around such apps. */
  #startingPaths(): readonly MountPath[] {
    const { parent } = this.#app as Router
    if (parent === undefined) return [{ layers: [], pattern: '' }]
    const mounts = Mounts.of(parent)
    mounts.#look()
    return mounts.#all.filter(({ layers }) => layers.at(-1)?.name === 'mounted_app')
  }

  #walk(
    router: Router | undefined,
    path: MountPath,
    found: Map<object, MountPath[]>,
    all: MountPath[],
    open: Set<unknown>,
  ): void {
    if (router === undefined || open.has(router) || open.size > DEEPEST) return
    open.add(router)
    for (const layer of router.stack ?? []) {
      if (layer.route !== undefined) {
        const paths = found.get(layer.route)
        if (paths === undefined) found.set(layer.route, [path])
        else paths.push(path)
        continue
      }
      if (all.length >= MOST_WAYS) break
      const pattern = patternOf(layer)
      const next =
        pattern === '' ? path : { layers: [...path.layers, layer], pattern: path.pattern + pattern }
      if (pattern !== '') all.push(next)
      this.#walk(routerOf(layer.handle), next, found, all, open)
    }
    open.delete(router)
  }
}

function routerOf(handle: unknown): Router | undefined {
  if (typeof handle !== 'function') return undefined
  const { stack, _router } = handle as Router
  if (Array.isArray(stack)) return handle as Router
  if (_router !== undefined) return _router
  try {
    const { router } = handle as Router
    return Array.isArray(router?.stack) ? router : undefined
  } catch {
    // An app of Express 4 throws when it is asked by this name.
    return undefined
  }
}

/** The pattern of a mount as the app wrote it; `''` for a mount at the root. */
function patternOf(layer: Layer): string {
  const { rawPath, regexp, keys = [] } = layer
  if (rawPath !== undefined) {
    const first = Array.isArray(rawPath) && rawPath.length === 1 ? rawPath[0] : rawPath
    if (typeof first === 'string') return first.replace(/\/+$/, '')
    return Array.isArray(first) ? `(${first.map(String).join('|')})` : String(first)
  }
  if (regexp === undefined || regexp.fast_slash === true) return layer.matchers === undefined ? '' : UNKNOWN
  return fromRegexp(
    regexp.source,
    keys.map(({ name }) => String(name)),
  )
}

/** Express 4 keeps the pattern only as what path-to-regexp 0.1 made of it: `^\/tenant(?:\/([^/]+?))\/?(?=\/|$)`. */
function fromRegexp(source: string, keys: readonly string[]): string {
  let next = 0
  const patterns = source.split(/\|(?=\^)/).map((one) =>
    one
      .replace(/^\^/, '')
      .replace(/\\\/\?\(\?=\\\/\|\$\)$/, '')
      .replace(/\(\?:\\\/\(\[\^\/\]\+\?\)\)/g, () => `/:${keys[next++] ?? 'param'}`)
      .replace(/\\([/.-])/g, '$1'),
  )
  // What is left of a regular expression is one that the app wrote itself: its source is the pattern.
  if (patterns.some((pattern) => /[\\^$|?*+()[\]{}]/.test(pattern))) return `(${source})`
  return patterns.length === 1 ? patterns[0]! : `(${patterns.join('|')})`
}

/** Whether the mounts, one after the other, match the whole text that the client wrote. */
function matchesWhole(layers: readonly Layer[], baseUrl: string): boolean {
  let rest = baseUrl
  for (const layer of layers) {
    const taken = consumedBy(layer, rest === '' ? '/' : rest)
    if (taken === undefined) return false
    rest = rest.slice(taken.length)
  }
  return rest === '' || rest === '/'
}

/** The part of a path that a mount matches, as its layer would, without changing the layer. */
function consumedBy({ regexp, matchers = [] }: Layer, path: string): string | undefined {
  if (regexp !== undefined) return regexp.exec(path)?.[0]
  for (const matcher of matchers) {
    try {
      const match = matcher(path)
      if (match !== false) return match.path
    } catch {
      // Characters that cannot be decoded: the layer itself has answered 400 then.
    }
  }
  return undefined
}
