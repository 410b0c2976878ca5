/**
 * Environment variable of a worker: the process id of the primary that collects its figures. So a worker knows from its start
 * that its own figures are only a part, even while the primary cannot answer. The process id is compared with the parent's,
 * since a cluster within a worker inherits the variable but has another primary.
 */
export const COLLECTED_BY = 'SPILLWAY_METRICS_COLLECTED_BY'

export function isCollected(): boolean {
  return process.env[COLLECTED_BY] === String(process.ppid)
}
