import { readdirSync, readFileSync } from 'node:fs'

/** The state letter of a process in /proc (`R`, `S`, `D`, `T` stopped, `Z` zombie), undefined when there is none. */
export function processState(pid: number): string | undefined {
  return stat(pid)?.state
}

/** Whether a process runs. A zombie, which only waits for its parent to take note, does not. */
export function isAlive(pid: number): boolean {
  const state = processState(pid)
  return state !== undefined && state !== 'Z' && state !== 'X'
}

/** The living processes below `pid` (children, their children ...) with `pid` itself first, when it lives. */
export function processTree(pid: number): number[] {
  const children = new Map<number, number[]>()
  for (const entry of readdirSync('/proc')) {
    const each = Number(entry)
    const found = Number.isInteger(each) ? stat(each) : undefined
    if (found === undefined || found.state === 'Z') continue
    children.set(found.parent, [...(children.get(found.parent) ?? []), each])
  }
  const tree = isAlive(pid) ? [pid] : []
  const open = [pid]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const below = children.get(next) ?? []
    tree.push(...below)
    open.push(...below)
  }
  return tree
}

/** Resident memory of a process in bytes. @throws Error when there is no such process */
export function rss(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(line?.[1] ?? 0) * 1024
}

function stat(pid: number): { state: string; parent: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in parentheses, which may hold anything, also parentheses.
    const [state, parent] = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return state === undefined ? undefined : { state, parent: Number(parent) }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ESRCH') return undefined
    throw error
  }
}
