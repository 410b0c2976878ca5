import ts from 'typescript'
import { target, textOf } from './files.js'

/** The files of the repository as syntax. */

const parsed = new Map<string, ts.SourceFile>()

export function syntaxOf(path: string): ts.SourceFile {
  let file = parsed.get(path)
  if (file === undefined) {
    file = ts.createSourceFile(path, textOf(path), ts.ScriptTarget.ESNext, true)
    parsed.set(path, file)
  }
  return file
}

/** Every node of a file, parents first. */
export function* nodesOf(path: string): Generator<ts.Node> {
  const stack: ts.Node[] = [syntaxOf(path)]
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    yield node
    const children: ts.Node[] = []
    ts.forEachChild(node, (child) => void children.push(child))
    stack.push(...children.reverse())
  }
}

/** `packages/limiter/src/gate.ts:12`, for messages. */
export function placeOf(node: ts.Node): string {
  const file = node.getSourceFile()
  return `${file.fileName}:${file.getLineAndCharacterOfPosition(node.getStart()).line + 1}`
}

export interface Import {
  readonly place: string
  readonly specifier: string
  /** Leaves nothing in the built code. */
  readonly typeOnly: boolean
}

/** Everything a file imports, in any way: import, export from, dynamic import, require, import type. */
export function importsOf(path: string): Import[] {
  const found: Import[] = []
  const add = (node: ts.Node, specifier: ts.Node | undefined, typeOnly: boolean) => {
    if (specifier !== undefined && ts.isStringLiteralLike(specifier))
      found.push({ place: placeOf(node), specifier: specifier.text, typeOnly })
  }
  for (const node of nodesOf(path)) {
    if (ts.isImportDeclaration(node)) add(node, node.moduleSpecifier, node.importClause?.isTypeOnly ?? false)
    else if (ts.isExportDeclaration(node)) add(node, node.moduleSpecifier, node.isTypeOnly)
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
      add(node, node.argument.literal, true)
    else if (ts.isCallExpression(node)) {
      const dynamic = node.expression.kind === ts.SyntaxKind.ImportKeyword
      if (dynamic || /^require(\.resolve)?$/.test(node.expression.getText()))
        add(node, node.arguments[0], false)
    }
  }
  return found
}

/**
 * The names of the values (not the types) that a module exports, through its re-exports. The syntax tells them apart,
 * since `verbatimModuleSyntax` demands `type` on every type.
 */
export function exportedValues(path: string): string[] {
  const names = syntaxOf(path).statements.flatMap((statement): string[] => {
    if (ts.isExportAssignment(statement)) return ['default']
    if (ts.isExportDeclaration(statement)) {
      if (statement.isTypeOnly) return []
      const { exportClause, moduleSpecifier } = statement
      if (exportClause === undefined && moduleSpecifier && ts.isStringLiteral(moduleSpecifier))
        return exportedValues(target(path, moduleSpecifier.text).replace(/\.js$/, '.ts'))
      if (exportClause === undefined || !ts.isNamedExports(exportClause)) return []
      return exportClause.elements.filter((one) => !one.isTypeOnly).map((one) => one.name.text)
    }
    const exported = ts.canHaveModifiers(statement) && isExported(ts.getModifiers(statement))
    if (!exported) return []
    if (ts.isVariableStatement(statement))
      return statement.declarationList.declarations.map(({ name }) => name.getText())
    if (ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement))
      return statement.name === undefined ? ['default'] : [statement.name.text]
    return []
  })
  return [...new Set(names)].sort()
}

function isExported(modifiers: readonly ts.Modifier[] | undefined): boolean {
  return modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false
}
