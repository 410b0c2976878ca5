/**
 * In the environment of a worker: the process id of the primary that collects its figures. A worker knows from its first
 * moment on that its own figures are not those of the whole, also while the primary cannot say so. A cluster within a
 * worker inherits the variable, and not the primary.
 */
export const COLLECTED_BY = 'SPILLWAY_METRICS_COLLECTED_BY'

export function isCollected(): boolean {
  return process.env[COLLECTED_BY] === String(process.ppid)
}
