export type { CloseOptions, Duration, Size, Verdict } from '@spillway/kit'
export { RejectedError } from '@spillway/kit'
export { type DiffOptions, diffSnapshots } from './diff.js'
export {
  OverloadedError,
  ReportForbiddenError,
  type SnapshotRefusal,
  SnapshotRefusedError,
} from './errors.js'
export type { ShedLoadOptions } from './gate.js'
export { type Handler, health, memoryReport, readiness, shedLoad } from './http.js'
export type { Leak } from './leak.js'
export type { LeakOptions } from './leak-options.js'
export type { Finding, LeakKind } from './leak-watch.js'
export type { Level, Mark, Marks } from './level.js'
export { type MemoryEvents, MemoryMonitor, type MemoryStats } from './monitor.js'
export type { MarksOptions, MemoryMonitorOptions, SignalMarksOptions } from './options.js'
export type { MemoryReportOptions } from './probe.js'
export type { HeapSpace, MemoryReport } from './report.js'
export { reportHtml } from './report-html.js'
export { reportText } from './report-text.js'
export type { Sample } from './sampler.js'
export type { Priority } from './shedding.js'
export type { Reason, SignalName } from './signals.js'
export type { AllocationSite } from './sites.js'
export type { ConstructorGrowth, Holder, SnapshotDiff } from './snapshot-diff.js'
export type { SnapshotOptions } from './snapshot-options.js'
export { realSystem, type System } from './system.js'
