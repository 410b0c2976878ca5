import { readFileSync } from 'node:fs'

const TYPES = { html: 'text/html', js: 'text/javascript', css: 'text/css' } as const

type FileName = 'dashboard.html' | 'dashboard.js' | 'dashboard.css'

const read = new Map<FileName, string>()

/**
 * One of the dashboard's three files. They hold no inline script or style, so that a strict Content-Security-Policy
 * (helmet's default) lets them run.
 */
export function dashboardFile(name: FileName, mountedAt: string): { type: string; text: string } {
  let text = read.get(name)
  if (text === undefined) {
    text = readFileSync(new URL(`../assets/${name}`, import.meta.url), 'utf8')
    read.set(name, text)
  }
  const base = mountedAt.slice(mountedAt.lastIndexOf('/') + 1)
  const type = TYPES[name.slice(name.lastIndexOf('.') + 1) as keyof typeof TYPES]
  return { type: `${type}; charset=utf-8`, text: text.replaceAll('{{base}}', base) }
}
