// Every entry loads, and its classes have the names by which they are exported: messages and stacks show them.
import { readFileSync } from 'node:fs'
import { misnamed } from './misnamed.cjs'

const entries = JSON.parse(readFileSync(new URL('entries.json', import.meta.url), 'utf8'))
for (const entry of entries) {
  const wrong = misnamed(await import(entry))
  if (wrong.length > 0) throw new Error(`${entry}: ${wrong.join(', ')}`)
}
