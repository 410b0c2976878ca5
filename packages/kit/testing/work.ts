import { Session } from 'node:inspector'

/**
 * Counts the work of a parser, so that a test can compare the work for an input with that for one of twice the length. No
 * clock is read: the count is the same on a busy machine.
 *
 * Two things are counted: how often each block of code of the packages and of devalue runs (V8's precise coverage), and how many
 * characters or bytes the built-in methods look at which that code calls. A regular expression counts as one pass over its
 * text; that none needs more is what the test of the sources keeps.
 */
export async function workOf(task: () => unknown): Promise<number> {
  takeSteps()
  const built = await countBuiltIns(task)
  return built + takeSteps()
}

const session = new Session()
session.connect()
post('Profiler.enable')
// Before any function that is to be counted runs for the first time: V8 adds the counters when it compiles.
post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })

interface Coverage {
  readonly result: readonly {
    readonly url: string
    readonly functions: readonly { readonly ranges: readonly { readonly count: number }[] }[]
  }[]
}

/** Blocks that have run since the last call. */
function takeSteps(): number {
  let steps = 0
  for (const { url, functions } of post<Coverage>('Profiler.takePreciseCoverage').result) {
    if (!/packages\/[a-z]+\/(src|test)\/|devalue/.test(url)) continue
    for (const { ranges } of functions) for (const { count } of ranges) steps += count
  }
  return steps
}

/** A session of the same thread answers before `post` returns. */
function post<Result>(method: string, params: object = {}): Result {
  let answer: Result | undefined
  session.post(method, params, (error, result) => {
    if (error !== null) throw error
    answer = result as Result
  })
  return answer!
}

type Method = (this: unknown, ...args: unknown[]) => unknown
/** What one call looks at, by what it was called on, its arguments and its result. */
type Count = (self: unknown, args: unknown[], result: unknown) => number

const sizeOf = (value: unknown) => (value as { readonly length?: number } | undefined)?.length ?? 0
const ofSelf: Count = (self) => sizeOf(self)
const ofResult: Count = (_self, _args, result) => sizeOf(result)
const ofFirst: Count = (_self, [first]) => sizeOf(first)
/** To the place that was found, or to the end. */
const ofSearch: Count = (self, [sought, from = 0], result) =>
  result === -1 ? Math.max(0, sizeOf(self) - Number(from)) : Number(result) - Number(from) + sizeOf(sought)

/** From the end, or from the given place, back to the place that was found. */
const ofSearchBack: Count = (self, [sought, from = Number.POSITIVE_INFINITY], result) =>
  Math.min(Number(from), sizeOf(self)) - Math.max(0, Number(result)) + sizeOf(sought)

const BUILT_INS: readonly (readonly [owner: object, methods: readonly string[], count: Count])[] = [
  [String.prototype, ['split', 'replace', 'replaceAll', 'match', 'matchAll', 'search'], ofSelf],
  [String.prototype, ['trim', 'trimStart', 'trimEnd', 'toLowerCase', 'includes'], ofSelf],
  [String.prototype, ['slice', 'substring', 'repeat', 'concat', 'padEnd'], ofResult],
  [String.prototype, ['startsWith', 'endsWith'], ofFirst],
  [String.prototype, ['indexOf'], ofSearch],
  [String.prototype, ['lastIndexOf'], ofSearchBack],
  [RegExp.prototype, ['exec', 'test'], ofFirst],
  [Array.prototype, ['join', 'slice', 'flat', 'concat'], ofResult],
  [Array.prototype, ['includes', 'indexOf', 'shift'], ofSelf],
  [Buffer, ['from', 'concat'], ofResult],
  [Buffer.prototype, ['toString', 'latin1Slice', 'utf8Slice'], ofResult],
  [Buffer.prototype, ['indexOf'], ofSearch],
  [JSON, ['parse'], ofFirst],
  [JSON, ['stringify'], ofResult],
  [globalThis, ['encodeURIComponent'], ofResult],
]

async function countBuiltIns(task: () => unknown): Promise<number> {
  let count = 0
  let depth = 0
  const restore: (() => void)[] = []
  for (const [owner, methods, weigh] of BUILT_INS) {
    for (const name of methods) {
      const before = Object.getOwnPropertyDescriptor(owner, name)
      const method = Reflect.get(owner, name) as Method
      const counted: Method = function (...args) {
        depth++
        try {
          const result = Reflect.apply(method, this, args)
          // What a built-in method calls in its turn, such as `exec` for each place of a `split`, is its own affair.
          if (depth === 1) count += weigh(this, args, result)
          return result
        } finally {
          depth--
        }
      }
      Object.defineProperty(owner, name, { value: counted, configurable: true, writable: true })
      restore.push(() => {
        if (before === undefined) Reflect.deleteProperty(owner, name)
        else Object.defineProperty(owner, name, before)
      })
    }
  }
  try {
    await task()
  } finally {
    for (const undo of restore) undo()
  }
  return count
}
