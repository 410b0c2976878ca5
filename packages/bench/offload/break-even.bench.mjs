import { scryptSync } from 'node:crypto'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'

/** Milliseconds of the event loop that one call takes, inline and through a thread, one call at a time. */
function scenario(title, inline, offloaded) {
  const measured = (call, close) => ({
    async run(ms) {
      const end = performance.now() + ms
      const before = performance.eventLoopUtilization()
      let ops = 0
      do {
        await call()
        ops++
        // A turn of the loop, so that its use is accounted for.
        await new Promise((resolve) => setImmediate(resolve))
      } while (performance.now() < end)
      const { active } = performance.eventLoopUtilization(before)
      return { ops, 'loop ms each': active / ops }
    },
    close,
  })
  return {
    title,
    baseline: 'inline',
    rounds: 3,
    roundMs: 400,
    contenders: {
      inline: async () => measured(inline()),
      offloaded: async () => {
        const { Offloader } = await import('@spillway/offload')
        const { readyTasks } = await import('@spillway/offload/tasks')
        const offloader = new Offloader({ threads: 1 })
        await offloader.warm()
        return measured(offloaded(readyTasks(offloader), offloader), () => offloader.close())
      },
    },
  }
}

const SIZES = [
  ['10 kB', 80],
  ['100 kB', 800],
  ['1 MB', 8_000],
]

const rowsOf = (count) =>
  Array.from({ length: count }, (_, id) => ({
    id,
    name: `city number ${id}`,
    lat: id / 3,
    lon: -id / 7,
    tags: ['a', 'b', `c${id}`],
    country: 'DE',
  }))
const jsonOf = (count) => Buffer.from(JSON.stringify(rowsOf(count)))
const csvOf = (count) =>
  Buffer.from(
    `id,name,lat,lon,country,note\n${rowsOf(count)
      .map(
        ({ id, name, lat, lon, country }) =>
          `${id},"${name}",${lat},${lon},${country},"said ""hi"" to ${id}"`,
      )
      .join('\n')}`,
  )
const numbers = ['id', 'lat', 'lon']
const never = { signal: new AbortController().signal, report() {}, transfer() {}, check() {} }
const { parseCsv } = await import('@spillway/offload/tasks')

const spin = (microseconds) => {
  const end = performance.now() + microseconds / 1_000
  while (performance.now() < end);
}

export const scenarios = [
  ...[100, 1_000, 10_000].map((us) =>
    scenario(
      `Break-even: ${us / 1_000} ms of computing`,
      () => () => spin(us),
      (_, offloader) => {
        const task = offloader.task(new URL('./tasks.mjs', import.meta.url), 'spin')
        return () => task(us)
      },
    ),
  ),
  ...SIZES.flatMap(([size, count]) => {
    const json = jsonOf(count)
    const csv = csvOf(count)
    const rows = rowsOf(count)
    const pick = ['0.name', 'length']
    const brotliParams = { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } }
    return [
      scenario(
        `Break-even: gzip, ${size}`,
        () => () => gzipSync(json),
        ({ gzip }) =>
          () =>
            gzip({ data: json }),
      ),
      scenario(
        `Break-even: brotli, ${size}`,
        () => () => brotliCompressSync(json, brotliParams),
        ({ brotli }) =>
          () =>
            brotli({ data: json }),
      ),
      scenario(
        `Break-even: parseCsv, ${size}`,
        () => () => parseCsv({ csv, numbers }, never),
        (tasks) => () => tasks.parseCsv({ csv, numbers }),
      ),
      scenario(
        `Break-even: pickJson, ${size}`,
        () => () => JSON.parse(json.toString())[0].name,
        ({ pickJson }) =>
          () =>
            pickJson({ json, pick }),
      ),
      scenario(
        `Break-even: JSON.parse, whole result, ${size}`,
        () => () => JSON.parse(json.toString()),
        (_, offloader) => {
          const task = offloader.task(new URL('./tasks.mjs', import.meta.url), 'parse')
          return () => task(json)
        },
      ),
      scenario(
        `Break-even: JSON.stringify, ${size}`,
        () => () => JSON.stringify(rows),
        (_, offloader) => {
          const task = offloader.task(new URL('./tasks.mjs', import.meta.url), 'stringify')
          return () => task(rows)
        },
      ),
    ]
  }),
  scenario(
    'Break-even: scrypt, N = 2^14',
    () => () => scryptSync('password', 'salt', 32, { N: 2 ** 14, r: 8, p: 1 }),
    ({ hashPassword }) =>
      () =>
        hashPassword({ password: 'password', logN: 14 }),
  ),
]
