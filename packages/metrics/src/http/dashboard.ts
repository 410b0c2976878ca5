import { existsSync, readFileSync } from 'node:fs'

const TYPES = { html: 'text/html', js: 'text/javascript', css: 'text/css' } as const

type FileName = 'dashboard.html' | 'dashboard.js' | 'dashboard.css'

const read = new Map<FileName, string>()

/** Where the files are: seen from the built package, or from its sources. */
const ASSETS = ['../assets/', '../../assets/'].map((path) => new URL(path, import.meta.url))

function urlOf(name: FileName): URL {
  const urls = ASSETS.map((folder) => new URL(name, folder))
  return urls.find((url) => existsSync(url)) ?? urls[0]!
}

/**
 * One of the dashboard's three files. They hold no inline script or style, so that a strict Content-Security-Policy
 * (helmet's default) lets them run.
 */
export function dashboardFile(name: FileName, mountedAt: string): { type: string; text: string } {
  let text = read.get(name)
  if (text === undefined) {
    text = readFileSync(urlOf(name), 'utf8')
    read.set(name, text)
  }
  const base = mountedAt.slice(mountedAt.lastIndexOf('/') + 1)
  const type = TYPES[name.slice(name.lastIndexOf('.') + 1) as keyof typeof TYPES]
  return { type: `${type}; charset=utf-8`, text: text.replaceAll('{{base}}', base) }
}
