// As esm.mjs, by `require`. What a module finds by its own place, it finds there too.
const assert = require('node:assert/strict')
const { misnamed } = require('./misnamed.cjs')

for (const entry of require('./entries.json')) assert.deepEqual(misnamed(require(entry)), [], entry)

async function readyTask() {
  const { Offloader } = require('@spillway/offload')
  const { readyTasks } = require('@spillway/offload/tasks')
  const offloader = new Offloader({ threads: 1 })
  try {
    const { gzip, gunzip } = readyTasks(offloader)
    const packed = await gzip({ data: Buffer.from('text') })
    assert.equal(Buffer.from(await gunzip({ data: packed, maxBytes: 1_000 })).toString(), 'text')
  } finally {
    await offloader.close()
  }
}

async function richValue() {
  const { Cache, memoryStore } = require('@spillway/cache')
  const cache = new Cache({ store: memoryStore(), l1: false })
  const value = new Map([['when', new Date(0)]])
  await cache.set('k', value)
  assert.deepEqual(await cache.get('k'), value)
  await cache.close()
}

readyTask().then(richValue)
