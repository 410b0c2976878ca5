import { spawnApp } from '@spillway/testkit'
import { onTestFinished } from 'vitest'
import type { Told } from './primary.js'

/** Runs fixtures/reloads.mjs, which people can run as well, and gives what it found. */
export async function reloads(...args: string[]): Promise<Told> {
  const app = spawnApp(new URL('./fixtures/reloads.mjs', import.meta.url), { args })
  onTestFinished(() => app[Symbol.asyncDispose]())
  await app.exited
  const [, result] = await app.waitForLine(/^(\{"reloads".*)$/)
  return JSON.parse(result ?? '')
}
