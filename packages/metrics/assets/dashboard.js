// Reads the merged figures once a second and shows what they say. No dependency, no inline script.

const KEPT = 120
const source = document.body.dataset.source
const state = document.getElementById('state')
const history = []

/** The figures of one moment, easy to ask. */
class Snapshot {
  constructor({ at, series, workers, missing }) {
    Object.assign(this, { at, series, workers, missing })
    this.byName = new Map(series.map((one) => [one.name, one]))
  }

  values(name, metricName) {
    const { values = [] } = this.byName.get(name) ?? {}
    return metricName === undefined ? values : values.filter((value) => value.metricName === metricName)
  }

  sum(name, keep = () => true) {
    return this.values(name).reduce((sum, { value, labels }) => (keep(labels) ? sum + value : sum), 0)
  }

  /** A level over all its labels, as its metric says. */
  merged(name) {
    const all = this.values(name).map(({ value }) => value)
    const { aggregator } = this.byName.get(name)
    if (aggregator === 'max') return Math.max(...all)
    if (aggregator === 'min') return Math.min(...all)
    const sum = this.sum(name)
    return aggregator === 'average' ? sum / all.length : sum
  }

  greatest(name) {
    return this.values(name).reduce((most, { value }) => Math.max(most, value), 0)
  }
}

/** What happened between two moments. */
class Interval {
  constructor(from, to) {
    Object.assign(this, { from, to, seconds: Math.max(0.001, (to.at - from.at) / 1000) })
  }

  /** What each value of a counter has grown by. One that is smaller than before has begun anew. */
  grown(name, metricName) {
    const before = new Map(
      this.from.values(name, metricName).map(({ value, labels }) => [keyOf(labels), value]),
    )
    return this.to.values(name, metricName).map(({ value, labels }) => {
      const start = before.get(keyOf(labels)) ?? 0
      return { labels, value: value < start ? value : value - start }
    })
  }

  /** What a counter has grown by, over all its labels. */
  growth(name) {
    return this.grown(name).reduce((sum, { value }) => sum + value, 0)
  }

  /** Requests by one label of the duration histogram. */
  requests(label) {
    const counted = new Map()
    for (const { value, labels } of this.grown(DURATION, `${DURATION}_count`)) {
      counted.set(labels[label], (counted.get(labels[label]) ?? 0) + value)
    }
    return counted
  }

  /** A quantile in milliseconds, read from the histogram's buckets by linear interpolation, as Prometheus does. */
  quantile(q, keep = () => true) {
    const buckets = new Map()
    for (const { value, labels } of this.grown(DURATION, `${DURATION}_bucket`)) {
      if (!keep(labels)) continue
      const bound = labels.le === '+Inf' ? Infinity : Number(labels.le)
      buckets.set(bound, (buckets.get(bound) ?? 0) + value)
    }
    const sorted = [...buckets].sort(([a], [b]) => a - b)
    const wanted = q * (sorted.at(-1)?.[1] ?? 0)
    if (wanted === 0) return 0
    let [lower, below] = [0, 0]
    for (const [bound, count] of sorted) {
      if (count >= wanted) {
        if (bound === Infinity) return lower * 1000
        return (lower + ((bound - lower) * (wanted - below)) / Math.max(1, count - below)) * 1000
      }
      ;[lower, below] = [bound, count]
    }
    return lower * 1000
  }
}

const DURATION = 'http_request_duration_seconds'

function keyOf(labels) {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)))
}

function show() {
  const to = history.at(-1)
  const steps = history.slice(1).map((snapshot, i) => new Interval(history[i], snapshot))
  // Five seconds smooth the figures without hiding what happens.
  const now = new Interval(history[Math.max(0, history.length - 6)], to)
  const byStatus = now.requests('status')
  const answered = total(byStatus)
  const failed = total(byStatus, (status) => String(status) >= '500')

  tiles([
    ['requests / s', number(answered / now.seconds)],
    ['p50', `${number(now.quantile(0.5))} ms`],
    ['p99', `${number(now.quantile(0.99))} ms`],
    ['5xx', answered === 0 ? '–' : `${number((100 * failed) / answered)} %`],
    ['in flight', number(to.sum('http_requests_in_flight'))],
    ['workers', to.missing === 0 ? String(to.workers) : `${to.workers}, ${to.missing} silent`],
  ])
  chart('chart-rate', [steps.map((step) => total(step.requests('status')) / step.seconds)])
  chart('chart-time', [steps.map((step) => step.quantile(0.5)), steps.map((step) => step.quantile(0.99))])
  chart('chart-loop', [
    history.map((one) => one.greatest('spillway_process_event_loop_delay_seconds') * 1000),
  ])
  chart('chart-memory', [history.map((one) => one.sum('spillway_process_resident_memory_bytes') / 1e6)])
  workers(to)
  routes(now)
  packages(now)
}

function total(counts, keep = () => true) {
  return [...counts].reduce((sum, [key, count]) => (keep(key) ? sum + count : sum), 0)
}

function tiles(pairs) {
  fill(
    document.getElementById('tiles'),
    pairs.map(([label, value]) => {
      const tile = element('div', { className: 'tile' })
      tile.append(element('b', { textContent: value }), element('span', { textContent: label }))
      return tile
    }),
  )
}

function workers(snapshot) {
  const of = (name, worker) =>
    snapshot.values(`spillway_process_${name}`).find(({ labels }) => labels.worker === worker)?.value ?? 0
  const ids = snapshot.values('spillway_process_uptime_seconds').map(({ labels }) => labels.worker)
  table(
    'workers',
    ['worker', 'memory MB', 'heap MB', 'cores', 'loop busy %', 'loop delay ms', 'age s'],
    ids
      .sort((a, b) => a - b)
      .map((id) => [
        id,
        number(of('resident_memory_bytes', id) / 1e6),
        number(of('heap_used_bytes', id) / 1e6),
        of('cpu_ratio', id).toFixed(2),
        number(of('event_loop_utilization_ratio', id) * 100),
        number(of('event_loop_delay_seconds', id) * 1000),
        number(of('uptime_seconds', id)),
      ]),
  )
}

function routes(interval) {
  const rows = [...interval.requests('route')]
    .filter(([, count]) => count > 0)
    .sort((a, b) => b[1] - a[1])
    .slice(0, 15)
  table(
    'routes',
    ['route', 'requests / s', 'p50 ms', 'p99 ms'],
    rows.map(([route, count]) => {
      const own = (labels) => labels.route === route
      return [
        route,
        number(count / interval.seconds),
        number(interval.quantile(0.5, own)),
        number(interval.quantile(0.99, own)),
      ]
    }),
  )
}

/** Whatever the packages say of themselves: counters as rates, the rest as it is. */
function packages(interval) {
  const { to, seconds } = interval
  const groups = new Map()
  for (const one of to.series.filter(ofPackage)) {
    const kind = kindOf(one)
    groups.set(kind, [...(groups.get(kind) ?? []), one])
  }
  const sheets = [...groups].flatMap(([kind, series]) => {
    const rows = series.flatMap(({ name, type, values }) => {
      if (type === 'histogram' || values.length === 0) return []
      const label = name
        .slice(`spillway_${kind}_`.length)
        .replace(/_total$/, '')
        .replaceAll('_', ' ')
      if (type === 'counter')
        return [[label, `${number(interval.growth(name) / seconds)} / s`, number(to.sum(name))]]
      return [[label, number(to.merged(name)), '']]
    })
    if (rows.length === 0) return []
    const sheet = element('section')
    const sheetTable = element('table')
    sheetTable.append(...rowsOf(['', 'now', 'in all'], rows))
    sheet.append(element('h2', { textContent: kind }), sheetTable)
    return sheet
  })
  fill(document.getElementById('packages'), sheets)
}

const ofPackage = ({ name }) => /^spillway_(?!process_|sources)/.test(name)
const kindOf = ({ name }) => name.split('_')[1]

function table(id, head, rows) {
  fill(document.getElementById(id), rowsOf(head, rows))
}

function rowsOf(head, rows) {
  return [head, ...rows].map((cells, i) => {
    const row = element('tr')
    row.append(...cells.map((cell) => element(i === 0 ? 'th' : 'td', { textContent: cell })))
    return row
  })
}

const SVG = 'http://www.w3.org/2000/svg'

function chart(id, lines) {
  const svg = document.getElementById(id)
  const top = Math.max(1e-9, ...lines.flat())
  svg.setAttribute('viewBox', `0 0 ${KEPT} 110`)
  svg.setAttribute('preserveAspectRatio', 'none')
  fill(
    svg,
    lines.map((line, i) => {
      const path = document.createElementNS(SVG, 'path')
      const points = line.map(
        (value, x) => `${KEPT - line.length + x},${(105 - (value / top) * 95).toFixed(1)}`,
      )
      path.setAttribute('d', points.length > 1 ? `M${points.join('L')}` : '')
      if (i > 0) path.classList.add('second')
      return path
    }),
  )
  svg.parentElement.querySelector('figcaption').dataset.top = number(top)
}

function number(value) {
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)} M`
  if (value >= 1e4) return `${(value / 1e3).toFixed(1)} k`
  return value >= 100 || Number.isInteger(value)
    ? String(Math.round(value))
    : value.toFixed(value < 10 ? 2 : 1)
}

function element(tag, properties = {}) {
  return Object.assign(document.createElement(tag), properties)
}

function fill(parent, children) {
  parent.replaceChildren(...children)
}

async function tick() {
  try {
    const response = await fetch(source, { cache: 'no-store' })
    if (!response.ok) throw new Error(`HTTP ${response.status}`)
    const snapshot = new Snapshot(await response.json())
    // Gatherings are shared for a second: the same one may come twice.
    if (snapshot.at !== history.at(-1)?.at) history.push(snapshot)
    if (history.length > KEPT) history.shift()
    state.textContent = `live, ${history.at(-1).workers} worker${history.at(-1).workers === 1 ? '' : 's'}`
    state.classList.remove('lost')
    if (history.length > 1) show()
  } catch (error) {
    state.textContent = `no answer (${error.message}), trying again`
    state.classList.add('lost')
  }
  setTimeout(tick, 1000)
}

tick()
