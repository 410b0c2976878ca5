import { readdirSync, readFileSync } from 'node:fs'

// Zombie, and the moment after.
const DEAD = new Set(['Z', 'X'])

/** The state letter of a process in /proc (`R`, `S`, `D`, `T` stopped, `Z` zombie), undefined when there is none. */
export function processState(pid: number): string | undefined {
  return stat(pid)?.state
}

/** Whether a process runs. A zombie, which only waits for its parent to take note, does not. */
export function isAlive(pid: number): boolean {
  const state = processState(pid)
  return state !== undefined && !DEAD.has(state)
}

/** The living processes below `pid` (children, their children ...) with `pid` itself first, when it lives. */
export function processTree(pid: number): number[] {
  const living = livingProcesses()
  const tree = living.filter((each) => each.pid === pid)
  const open = [pid]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const below = living.filter(({ parent }) => parent === next)
    tree.push(...below)
    open.push(...below.map((each) => each.pid))
  }
  return tree.map((each) => each.pid)
}

/** The living processes of a process group. They outlive its leader and their parent. */
export function processGroup(id: number): number[] {
  return livingProcesses()
    .filter(({ group }) => group === id)
    .map(({ pid }) => pid)
}

/** Resident memory of a process in bytes. @throws Error when there is no such process */
export function rss(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(line?.[1] ?? 0) * 1024
}

interface Stat {
  readonly pid: number
  readonly state: string
  readonly parent: number
  readonly group: number
}

function livingProcesses(): Stat[] {
  const ids = readdirSync('/proc').map(Number).filter(Number.isInteger)
  return ids.map(stat).filter((each): each is Stat => each !== undefined && !DEAD.has(each.state))
}

function stat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in parentheses, which may hold anything, also parentheses.
    const [state = '', parent, group] = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { pid, state, parent: Number(parent), group: Number(group) }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ESRCH') return undefined
    throw error
  }
}
