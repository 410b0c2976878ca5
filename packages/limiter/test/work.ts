import { Session } from 'node:inspector/promises'

let counting: Promise<Session> | undefined

/** One session for all counts: V8 counts the blocks of a function that it has compiled before in the first one only. */
async function counter(): Promise<Session> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  return session
}

/**
 * How often the blocks of the source run while `task` does, by the engine's own count: work, not time. What a built-in
 * does within itself is not counted.
 */
export async function workOf(task: () => unknown): Promise<number> {
  counting ??= counter()
  const session = await counting
  // Sets all counts to zero.
  await session.post('Profiler.takePreciseCoverage')
  await task()
  const { result } = await session.post('Profiler.takePreciseCoverage')
  return result
    .filter(({ url }) => url.includes('/packages/') && url.includes('/src/'))
    .flatMap(({ functions }) => functions.flatMap(({ ranges }) => ranges))
    .reduce((sum, { count }) => sum + count, 0)
}
