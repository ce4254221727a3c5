/** Limits of the data threads. */

/** What protects the process, whatever the configuration says. */
export interface ThreadLimits {
  /** How long connections of a filter chain that is gone may last, milliseconds. */
  drainTime: number;
  /** Callers' connections of all threads together; more are closed at once. 0: no limit. */
  maxConnections: number;
  /** Bytes that wait in one thread's buffers: above, new work is turned away. 0: no limit. */
  maxBufferedBytes: number;
  /** Bytes of one thread's JavaScript heap, likewise. 0: no limit. */
  maxHeapBytes: number;
}
