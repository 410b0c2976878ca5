import type { Verdict } from './verdict.js'

/** What the Koa adapters share. Structural, so that nothing here loads Koa. */

/** Sets the verdict's headers and throws the refusal if there is one; it carries its headers itself, since Koa wipes them. */
export function applyVerdict(verdict: Verdict, ctx: { set(name: string, value: string): unknown }): void {
  for (const name in verdict.headers) ctx.set(name, verdict.headers[name]!)
  if (verdict.error !== undefined) throw verdict.error
}
