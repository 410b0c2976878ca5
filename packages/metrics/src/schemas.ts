import type { StatsSchema } from './schema.js'

/** How the snapshots of the Spillway packages are read, by the kind that `watch()` is told. */
export const SCHEMAS: Readonly<Record<string, StatsSchema>> = {}
