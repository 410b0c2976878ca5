export type { CloseOptions, Duration, Size, Verdict } from '@spillway/kit'
export { RejectedError } from '@spillway/kit'
export {
  OverloadedError,
  ReportForbiddenError,
  type SnapshotRefusal,
  SnapshotRefusedError,
} from './errors.js'
export { type DiffOptions, diffSnapshots } from './heap/diff.js'
export type { ConstructorGrowth, Holder, SnapshotDiff } from './heap/snapshot-diff.js'
export type { SnapshotOptions } from './heap/snapshot-options.js'
export type { ShedLoadOptions } from './http/gate.js'
export { type Handler, health, memoryReport, readiness, shedLoad } from './http/http.js'
export type { MemoryReportOptions } from './http/probes.js'
export { reportHtml } from './http/report-html.js'
export { reportText } from './http/report-text.js'
export type { AllocationSite } from './leak/allocation-sites.js'
export type { Finding, LeakKind } from './leak/growth-test.js'
export type { Leak } from './leak/leak.js'
export type { LeakOptions } from './leak/leak-options.js'
export type { Level, Mark, Marks, Reason, SignalName } from './level.js'
export { type MemoryEvents, MemoryMonitor } from './monitor.js'
export type { MarksOptions, MemoryMonitorOptions, SignalMarksOptions } from './options.js'
export type { HeapSpace, MemoryReport } from './report.js'
export type { Sample } from './sampling/sampler.js'
export { realSystem, type System } from './sampling/system.js'
export type { Priority } from './shedding/load-shedder.js'
export type { MemoryStats } from './stats.js'
