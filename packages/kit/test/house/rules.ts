import ts from 'typescript'
import { textOf } from './files.js'
import { nodesOf, placeOf } from './syntax.js'

/** The rules of the house for sources. Each gives the places that break it. */

type Rule = (paths: readonly string[]) => string[]

/** The places of all nodes that a test picks. */
const places =
  (picks: (node: ts.Node) => boolean): Rule =>
  (paths) =>
    paths.flatMap((path) => [...nodesOf(path)].filter(picks).map(placeOf))

/** The lines that match, with their place. */
export const lines =
  (pattern: RegExp): Rule =>
  (paths) =>
    paths.flatMap((path) =>
      textOf(path)
        .split('\n')
        .flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}`] : [])),
    )

/** `as any`, `as unknown as T`. */
export const casts = places((node) => {
  if (!ts.isAsExpression(node)) return false
  if (node.type.kind === ts.SyntaxKind.AnyKeyword) return true
  return ts.isAsExpression(node.expression) && node.expression.type.kind === ts.SyntaxKind.UnknownKeyword
})

export const silenced = lines(/@ts-(ignore|expect-error|nocheck)/)

export const unfinished = lines(/\b(TODO|FIXME|XXX|HACK)\b/)

export const printing = places(
  (node) => ts.isPropertyAccessExpression(node) && node.expression.getText() === 'console',
)

/** Tests that do not run, or keep others from running. */
export const unrun = places(
  (node) =>
    ts.isPropertyAccessExpression(node) &&
    /^(skip|only|todo|fails|skipIf|runIf)$/.test(node.name.text) &&
    /^(it|test|describe|suite|bench)(\.\w+)*$/.test(node.expression.getText()),
)

/** Listeners on the process, for other events than `allowed`. */
export const listeners = (allowed: readonly string[]): Rule =>
  places((node) => {
    if (!ts.isCallExpression(node)) return false
    if (!/^process\.(on|once|addListener|prepend\w*Listener)$/.test(node.expression.getText())) return false
    const [event] = node.arguments
    return !(event !== undefined && ts.isStringLiteral(event) && allowed.includes(event.text))
  })

/** Codes and channel names that are put together at run time, so that nobody finds them by searching. */
export const assembled = places(
  (node) => ts.isTemplateExpression(node) && /^(ERR_|spillway:[a-z]+:$)/.test(node.head.text),
)

export function longerThan(limit: number): Rule {
  return (paths) => paths.filter((path) => textOf(path).split('\n').length - 1 > limit)
}
