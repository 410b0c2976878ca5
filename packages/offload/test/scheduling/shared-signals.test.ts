import { getEventListeners, once } from 'node:events'
import { createServer } from 'node:http'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { closeWith } from '../../src/express.js'
import { closeWith as closeWithKoa } from '../../src/koa.js'
import { cells, offloaderWith, rejection, task, until } from '../support.js'

function warnings(): Error[] {
  const seen: Error[] = []
  const note = (warning: Error) => void seen.push(warning)
  process.on('warning', note)
  onTestFinished(() => void process.off('warning', note))
  return seen
}

describe('calls that share a signal', () => {
  it('O41 many tasks on one signal: one listener, no warning, and all of them hear the abort', async () => {
    const seen = warnings()
    const offloader = offloaderWith({ threads: 2, grace: '10s' })
    const controller = new AbortController()
    const echo = task(offloader, 'echo')
    const results = Array.from({ length: 40 }, (_, i) => echo(i, { signal: controller.signal }))
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1)
    expect(await Promise.all(results)).toEqual([...Array(40).keys()])
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
    const stopped = Array.from({ length: 40 }, () =>
      rejection(task(offloader, 'spin')(cells(), { signal: controller.signal })),
    )
    controller.abort(new Error('enough'))
    for (const error of await Promise.all(stopped)) expect(error).toMatchObject({ message: 'enough' })
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
    await setImmediate()
    expect(seen).toEqual([])
  })

  it.each(['a signal', 'none'])('O41 map with a concurrency of 32 on %s', async (which) => {
    const seen = warnings()
    const offloader = offloaderWith({ threads: 2 })
    const { signal } = new AbortController()
    const options = which === 'none' ? { concurrency: 32 } : { concurrency: 32, signal }
    const results: unknown[] = []
    for await (const each of task(offloader, 'echo').map(Array(200).keys(), options)) results.push(each)
    expect(results).toEqual([...Array(200).keys()])
    expect(getEventListeners(signal, 'abort').length).toBeLessThanOrEqual(1)
    await setImmediate()
    expect(seen).toEqual([])
  })

  it('O41 many that wait for room on one signal', async () => {
    const seen = warnings()
    const offloader = offloaderWith({ queue: 1 })
    const controller = new AbortController()
    const spinning = cells()
    const busy = rejection(task(offloader, 'spin')(spinning, { signal: controller.signal }))
    await until(() => Atomics.load(spinning, 0) > 0, 'the first task runs')
    const queued = rejection(task(offloader, 'echo')(1, { signal: controller.signal }))
    const waiting = Array.from({ length: 20 }, () =>
      rejection(offloader.whenFree({ signal: controller.signal })),
    )
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1)
    controller.abort(new Error('enough'))
    for (const error of await Promise.all([busy, queued, ...waiting])) expect(error.message).toBe('enough')
    await setImmediate()
    expect(seen).toEqual([])
  })
})

describe('many offloaders and threads', () => {
  it('O41 of one process, on one server: no warning', async () => {
    const seen = warnings()
    const server = createServer()
    const offloaders = Array.from({ length: 16 }, () => offloaderWith({ threads: 1 }))
    for (const offloader of offloaders) {
      closeWith(server, offloader)
      closeWithKoa(server, offloader)
    }
    await Promise.all(offloaders.map((offloader) => task(offloader, 'echo')(1)))
    const wide = offloaderWith({ threads: 16 })
    await wide.warm()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    server.close()
    await once(server, 'close')
    for (const offloader of offloaders) {
      expect(await rejection(task(offloader, 'echo')(1))).toMatchObject({ code: 'ERR_OFFLOAD_CLOSED' })
    }
    await setImmediate()
    expect(seen).toEqual([])
  })
})
