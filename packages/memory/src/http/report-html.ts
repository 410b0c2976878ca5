import type { Leak } from '../leak/leak.js'
import type { MemoryReport } from '../report.js'
import { headline, percent, reportText, size, verdictLine } from './report-text.js'

/** The page's one style; its digest is in the page's Content-Security-Policy. */
export const STYLE = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #8884 }
td.number { text-align: right; font-variant-numeric: tabular-nums }
pre { overflow-x: auto; padding: 1rem; background: #8882; border-radius: .4rem }
.confirmed { color: #c62828 } .suspected { color: #ef6c00 }`

/** The report as one page without scripts, images or links. Everything in it is escaped: names come from the app's code. */
export function reportHtml(report: MemoryReport): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Memory of process ${report.pid}</title><style>${STYLE}</style></head>
<body>
<h1>${escaped(headline(report))}</h1>
${report.leaks.map(leakHtml).join('\n')}
<h2>Heap spaces</h2>
${table(
  ['Space', 'Used', 'Size'],
  report.spaces.map(({ name, used, size: taken }) => [name, size(used), size(taken)]),
)}
<h2>Everything</h2>
<pre>${escaped(reportText(report))}</pre>
</body>
</html>
`
}

function leakHtml(leak: Leak): string {
  const sites = leak.sites.map(({ function: name, place, bytes, share }) => [
    name,
    place,
    size(bytes),
    percent(share),
  ])
  const grown = (leak.diff?.grown ?? []).map(({ name, countBefore, countAfter, bytesBefore, bytesAfter }) => [
    name,
    `+${countAfter - countBefore}`,
    size(bytesAfter - bytesBefore),
  ])
  const holders = (leak.diff?.holders ?? []).map(
    ({ name, path, share }) =>
      `<p>${escaped(name)} is held (${percent(share)} of them) by</p><pre>${escaped(path.join('\n'))}</pre>`,
  )
  return [
    `<h2 class="${leak.state}">${escaped(verdictLine(leak))}</h2>`,
    `<p>${escaped(leak.advice)}</p>`,
    sites.length > 0 ? table(['Allocated by', 'Place', 'Stayed', 'Share'], sites) : '',
    ...holders,
    grown.length > 0 ? table(['Constructor', 'Objects', 'Bytes'], grown) : '',
  ].join('\n')
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (row: readonly string[], tag: 'td' | 'th') =>
    row.map((cell, i) => `<${tag}${i > 1 ? ' class="number"' : ''}>${escaped(cell)}</${tag}>`).join('')
  return `<table><thead><tr>${cells(head, 'th')}</tr></thead><tbody>${rows.map((row) => `<tr>${cells(row, 'td')}</tr>`).join('')}</tbody></table>`
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => ENTITIES[character]!)
}
