/** What protects the process by default: bounds that only trouble reaches. */
import { getHeapStatistics } from "node:v8";
import type { ThreadLimits } from "../config/thread_limits.ts";
import { raiseOpenFileLimit } from "../sys/libc.ts";

/** Istio's drainDuration. */
const drainTime = 45_000;
/** A thread's share of what all buffers may hold together. */
const maxBufferedBytes = 1024 * 1024 * 1024;
/** Of what V8 lets a thread's heap grow to; at its end the whole process aborts. */
const heapShare = 0.9;

/** For this many threads. */
export function defaultLimits(count: number): ThreadLimits {
  return {
    drainTime,
    // Each caller's connection may need one to an upstream; some descriptors are the process's own.
    maxConnections: Math.max(1, Math.floor((raiseOpenFileLimit() - 256) / 2)),
    maxBufferedBytes: Math.floor(maxBufferedBytes / count),
    maxHeapBytes: Math.floor(getHeapStatistics().heap_size_limit * heapShare),
  };
}
