/**
 * Whether a data thread takes new work (in the spirit of Envoy's overload manager): callers' connections are counted for
 * all threads together, buffers and heap for each, since one thread that runs out of memory ends the whole process.
 */
import type { ThreadLimits } from "../config/thread_limits.ts";
import { AgentSlot, agentSlot } from "../config/shared_memory.ts";

/** How long a look at the heap holds, milliseconds: looking costs some 20 µs. */
const heapInterval = 250;

/** What is measured. */
export interface Load {
  /** Milliseconds on a monotonic clock. */
  readonly now: number;
  /** This thread's callers' connections, those in their handshake among them. */
  readonly connections: number;
  /** Bytes in this thread's buffers. */
  readonly bufferedBytes: number;
}

export class Overload {
  #heap = 0;
  #measuredAt = -Infinity;
  #published = 0;

  constructor(
    private readonly limits: ThreadLimits,
    private readonly shared: Int32Array,
    private readonly load: Load,
    private readonly heapBytes: () => number = () => Deno.memoryUsage().heapUsed,
  ) {}

  /** Whether another caller's connection, which has not been counted yet, must be closed at once. */
  refusesConnection(): boolean {
    this.publish();
    const { maxConnections } = this.limits;
    const active = Atomics.load(this.shared, agentSlot + AgentSlot.connections);
    if (maxConnections === 0 || active < maxConnections) return false;
    Atomics.add(this.shared, agentSlot + AgentSlot.refusedConnections, 1);
    return true;
  }

  /** Whether new work is turned away for the sake of memory. The caller has counted none of it yet. */
  refusesWork(): boolean {
    const { maxBufferedBytes, maxHeapBytes } = this.limits;
    let overloaded = maxBufferedBytes > 0 && this.load.bufferedBytes > maxBufferedBytes;
    if (!overloaded && maxHeapBytes > 0) overloaded = this.#heapNow() > maxHeapBytes;
    if (overloaded) Atomics.add(this.shared, agentSlot + AgentSlot.refusedWork, 1);
    return overloaded;
  }

  /** Adds to the count of all threads what has changed here. */
  publish(): void {
    const { connections } = this.load;
    if (connections === this.#published) return;
    Atomics.add(this.shared, agentSlot + AgentSlot.connections, connections - this.#published);
    this.#published = connections;
  }

  /** The thread ends: its connections no longer count. */
  close(): void {
    Atomics.sub(this.shared, agentSlot + AgentSlot.connections, this.#published);
    this.#published = 0;
  }

  #heapNow(): number {
    const { now } = this.load;
    if (now - this.#measuredAt < heapInterval) return this.#heap;
    this.#measuredAt = now;
    return this.#heap = this.heapBytes();
  }
}
