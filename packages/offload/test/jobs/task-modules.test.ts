import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { typescriptLoader } from '../../src/worker/typescript.js'
import { offloaderWith, rejection, task } from '../support.js'

const DIST = new URL('../../dist/index.js', import.meta.url).href
const run = promisify(execFile)

async function folderOf(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'offload-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  return folder
}

describe('task modules', () => {
  it('CommonJS by absolute path', async () => {
    const offloader = offloaderWith()
    const path = fileURLToPath(new URL('../fixtures/legacy.cjs', import.meta.url))
    type Legacy = { double(value: number): number; nested(value: number): Promise<{ value: number }> }
    expect(await offloader.task<Legacy>(path, 'double')(21)).toBe(42)
    expect(await offloader.task<Legacy>(path, 'nested')(1)).toEqual({ value: 1 })
  })

  it('O34: TypeScript, with its own types, on every supported Node', async () => {
    const offloader = offloaderWith()
    const area = offloader.task<typeof import('../fixtures/typed.js'), 'area'>(
      new URL('../fixtures/typed.ts', import.meta.url),
      'area',
    )
    const seen: number[] = []
    const answer: string = await area(
      { width: 3, height: 4 },
      { onProgress: ({ done }) => seen.push(done), timeout: false },
    )
    expect(answer).toBe('12 m2')
    expect(seen).toEqual([1])
  })

  it('O34: a .js that is only there as .ts means the latter', async () => {
    const offloader = offloaderWith()
    const { greet, now } = offloader.tasks<typeof import('../fixtures/typed.js')>(
      new URL('../fixtures/typed.js', import.meta.url),
      { timeout: false },
    )
    const greeting: string = await greet('you two')
    const one: number = await now()
    expect([greeting, one]).toEqual(['hello you two', 1])
  })

  it('O34: TypeScript by tsx where that is installed, else by Node where it can, else not at all', () => {
    const here = 'file:///nowhere/tasks.ts'
    const program = fileURLToPath(import.meta.url)
    for (const native of [true, false]) {
      expect(typescriptLoader(here, [program], native)).toMatch(/^file:.*tsx.*\.mjs$/)
    }
    expect(typescriptLoader(here, ['/nowhere/tasks.ts'], true)).toBeUndefined()
    expect(() => typescriptLoader(here, ['/nowhere/tasks.ts'], false)).toThrow(
      expect.objectContaining({
        code: 'ERR_OFFLOAD_TYPESCRIPT',
        message: expect.stringMatching(/tasks\.ts is TypeScript.*install tsx, or compile it/),
      }),
    )
  })

  it('O34: a TypeScript module far from any tsx is run by Node, or refused when the task is made', async () => {
    const folder = await folderOf({
      'tasks.ts': 'export const answer = (): number => 42',
      'main.mjs': `
        import { Offloader } from ${JSON.stringify(DIST)}
        try {
          const offloader = new Offloader()
          console.log(await offloader.task(new URL('./tasks.ts', import.meta.url), 'answer')())
        } catch (error) {
          console.log(error.code)
        }`,
    })
    const { stdout } = await run(process.execPath, ['--no-warnings', 'main.mjs'], { cwd: folder })
    expect(stdout).toBe(
      'typescript' in process.features && process.features.typescript ? '42\n' : 'ERR_OFFLOAD_TYPESCRIPT\n',
    )
  })

  it('a package that was moved away from its thread script says so at once', async () => {
    const folder = await folderOf({
      'main.mjs': `
        import { Offloader } from './bundle/index.js'
        try {
          new Offloader()
        } catch (error) {
          console.log(error.code, error.message)
        }`,
    })
    const built = fileURLToPath(new URL('../../dist/', import.meta.url))
    await cp(built, join(folder, 'bundle'), {
      recursive: true,
      filter: (path) => !/worker\.c?js$/.test(path),
    })
    await mkdir(join(folder, 'node_modules'))
    await symlink(
      fileURLToPath(new URL('../../node_modules/piscina', import.meta.url)),
      join(folder, 'node_modules/piscina'),
    )
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
    const { stdout } = await run(process.execPath, ['main.mjs'], { cwd: folder })
    expect(stdout).toMatch(/^ERR_OFFLOAD_WORKER_FILE .*keep @spillway\/offload and piscina external/)
  })

  it('a relative path is refused at once, with what to write instead', () => {
    const offloader = offloaderWith()
    expect(() => offloader.task<{ a(): void }>('./tasks.js', 'a')).toThrow(
      expect.objectContaining({ code: 'ERR_OFFLOAD_MODULE', message: expect.stringContaining('new URL(') }),
    )
  })

  it('a module that does not exist is a load error of its task only', async () => {
    const offloader = offloaderWith()
    const missing = offloader.task<{ a(): void }>(new URL('../fixtures/missing.mjs', import.meta.url), 'a')
    expect(await rejection(missing())).toMatchObject({
      code: 'ERR_OFFLOAD_LOAD',
      cause: { code: 'ERR_MODULE_NOT_FOUND' },
    })
    expect(await task(offloader, 'echo')(1)).toBe(1)
  })

  it('a broken module costs one thread, not one per waiting call', async () => {
    const offloader = offloaderWith()
    const missing = offloader.task<{ a(): void }>(new URL('../fixtures/missing.mjs', import.meta.url), 'a')
    const errors = await Promise.all(Array.from({ length: 20 }, () => rejection(missing())))
    for (const error of errors) expect(error).toMatchObject({ code: 'ERR_OFFLOAD_LOAD' })
    expect(await task(offloader, 'echo')(1)).toBe(1)
    expect(offloader.stats().threads.started).toBe(2)
  })
})

describe('runInline', () => {
  it('runs arrows, functions and async ones with their arguments', async () => {
    const offloader = offloaderWith()
    expect(await offloader.runInline((a: number, b: number) => a + b, 1, 2)).toBe(3)
    expect(
      await offloader.runInline(async function twice(text: string) {
        return text.repeat(2)
      }, 'ab'),
    ).toBe('abab')
  })

  it('names what it captured', async () => {
    const offloader = offloaderWith()
    const outside = 1
    const error = await rejection(offloader.runInline(() => outside + 1))
    expect(error).toBeInstanceOf(TypeError)
    expect(error).toMatchObject({ code: 'ERR_OFFLOAD_INLINE' })
    expect(error.message).toContain('uses "outside" from around it')
  })

  it('its own ReferenceErrors of other kinds stay what they are', async () => {
    const error = await rejection(
      offloaderWith().runInline(() => {
        throw new RangeError('mine')
      }),
    )
    expect(error).toBeInstanceOf(RangeError)
  })

  it.each([
    ['a native function', Math.max],
    ['a bound function', (() => 1).bind(undefined)],
    ['a class', class A {}],
    ['a method', { run() {} }.run],
    ['no function', 'x'],
  ])('refuses %s', async (_, inline) => {
    const offloader = offloaderWith()
    expect(await rejection(offloader.runInline(inline as () => void))).toMatchObject({
      code: 'ERR_OFFLOAD_INLINE',
    })
    expect(offloader.stats().threads.started).toBe(0)
  })
})
