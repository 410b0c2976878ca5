// Module hooks of paths.mjs: they load the TypeScript sources of a checkout, and begin each function of its packages with a
// call that reports the entry. The kit is loaded as it is.
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

let root
let ts

/** `checkout` is the folder whose sources are measured. */
export function initialize(checkout) {
  root = checkout
  ts = createRequire(`${root}/package.json`)('typescript')
}

export function resolve(specifier, context, next) {
  const [ofKit, entry = 'index'] = /^@spillway\/kit(?:\/([a-z]+))?$/.exec(specifier) ?? []
  if (ofKit !== undefined) return source(`${root}/packages/kit/src/${entry}.ts`)
  if (specifier.startsWith('.') && context.parentURL?.endsWith('.ts')) {
    const path = fileURLToPath(new URL(specifier.replace(/\.js$/, '.ts'), context.parentURL))
    if (existsSync(path)) return source(path)
  }
  return next(specifier, context)
}

function source(path) {
  return { url: pathToFileURL(path).href, format: 'module', shortCircuit: true }
}

export function load(url, context, next) {
  if (!url.endsWith('.ts')) return next(url, context)
  const path = fileURLToPath(url)
  const text = readFileSync(path, 'utf8')
  const [, name] = /^packages\/([a-z]+)\/src\//.exec(relative(root, path)) ?? []
  const reports = name === 'kit' ? text : reporting(relative(root, path), text)
  // The scripts of threads and workers stand beside the built package.
  const built = JSON.stringify(pathToFileURL(`${root}/packages/${name}/dist/index.js`).href)
  const { outputText } = ts.transpileModule(reports.replaceAll('import.meta.url', built), {
    fileName: path,
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
    },
  })
  return { format: 'module', source: outputText, shortCircuit: true }
}

/** The text of a source file in which each function begins with `__entered(file, function)`. */
function reporting(file, text) {
  const inserted = []
  const visit = (node) => {
    ts.forEachChild(node, visit)
    if (!ts.isFunctionLike(node) || node.body === undefined) return
    const name = node.name?.getText() ?? `function at ${node.getStart()}`
    const call = `__entered(${JSON.stringify(file)}, ${JSON.stringify(name)})`
    if (ts.isBlock(node.body)) inserted.push([node.body.getStart() + 1, `${call};`])
    else inserted.push([node.body.getStart(), `(${call}, `], [node.body.getEnd(), ')'])
  }
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.ESNext, true))
  return inserted
    .sort(([a], [b]) => b - a)
    .reduce((whole, [at, more]) => whole.slice(0, at) + more + whole.slice(at), text)
}
