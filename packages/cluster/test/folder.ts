import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** A fresh directory under the system's temporary one; gone at the end of the test. */
export function folder(prefix = 'spillway-cluster-'): string {
  const path = mkdtempSync(join(tmpdir(), prefix))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}
