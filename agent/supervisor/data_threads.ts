/** The data threads as one: configuration goes in, metrics come out, crashed threads are replaced. */
import { logger } from "../../log/log.ts";
import type { ThreadLimits } from "../config/thread_limits.ts";
import { defaultLimits } from "./default_limits.ts";
import { metricSlots, sharedSlots } from "../config/shared_memory.ts";
import { analyzeOutliers } from "./outlier_analysis.ts";
import { sweepOutliers } from "./outlier_sweep.ts";
import { copySeries, type Series, ThreadMetrics } from "./series.ts";
import { placeListenerLimits, placeRouteLimits } from "./rate_limit_places.ts";
import { Slots } from "./slots.ts";
import { SupervisedThread, type ThreadOwner } from "./supervised_thread.ts";
import { type ControlChange, ThreadState } from "./thread_state.ts";

const log = logger("supervisor");
const sweepInterval = 1000;

/** Data threads could not apply a change whole; the message is what they said, each complaint once. */
export class ApplyError extends Error {
  override readonly name = "ApplyError";
  constructor(readonly errors: string[]) {
    super(errors.join("; "));
  }
}

export interface DataThreadsOptions {
  /** How many threads. */
  count: number;
  /** The module that a thread runs; the data plane by default. */
  module?: URL;
  /** What differs from {@link defaultLimits}. */
  limits?: Partial<ThreadLimits>;
}

export class DataThreads {
  readonly slots: Slots;
  readonly limits: ThreadLimits;
  readonly state = new ThreadState();
  /** By proxy: who finds the hosts that requests name. */
  readonly resolvers = new Map<string, (cluster: string, name: string, port: number) => void>();
  readonly #threads: SupervisedThread[] = [];
  readonly #metrics: ThreadMetrics[] = [];
  /** Values of threads that are no more: sums never go back. */
  readonly #retired = new Map<string, Series>();
  /** `performance.now()` when the agent started: what ejection times count from. */
  readonly #epoch: number;
  #sweepTimer: ReturnType<typeof setInterval> | undefined;
  #lastSweep = 0;
  #nextId = 1;
  #restarts = 0;

  private constructor(options: DataThreadsOptions) {
    this.#epoch = performance.now();
    this.slots = new Slots(new SharedArrayBuffer(sharedSlots * Int32Array.BYTES_PER_ELEMENT));
    const startedAt = performance.timeOrigin + this.#epoch;
    const limits = this.limits = { ...defaultLimits(options.count), ...options.limits };
    const owner: ThreadOwner = {
      prepare: (index) => {
        const metrics = new SharedArrayBuffer(metricSlots * Float64Array.BYTES_PER_ELEMENT);
        this.#metrics[index] = new ThreadMetrics(metrics);
        return { shared: this.slots.memory, metrics, startedAt, limits };
      },
      replay: () => this.state.replay().map((change) => this.#numbered(change)),
      series: (index, message) => this.#metrics[index].add(message.slot, message.metric, message.labels),
      resolve: ({ proxy, cluster, name, port }) => this.resolvers.get(proxy)?.(cluster, name, port),
      crashed: (index) => {
        this.#restarts++;
        this.#metrics[index].addTo(this.#retired);
        this.#metrics[index] = new ThreadMetrics(new SharedArrayBuffer(0));
      },
    };
    const module = options.module ?? new URL("../worker/data_thread.ts", import.meta.url);
    for (let index = 0; index < options.count; index++) {
      this.#threads.push(new SupervisedThread(index, owner, module));
    }
  }

  /** Starts the threads. Throws {@link DataThreadError} when one cannot start. */
  static async start(options: DataThreadsOptions): Promise<DataThreads> {
    const threads = new DataThreads(options);
    try {
      await Promise.all(threads.#threads.map((thread) => thread.started));
    } catch (error) {
      await threads.stop();
      throw error;
    }
    threads.#sweepTimer = setInterval(() => threads.#sweep(), sweepInterval);
    return threads;
  }

  get count(): number {
    return this.#threads.length;
  }

  /** How many times a thread has crashed. */
  get crashes(): number {
    return this.#restarts;
  }

  /**
   * Hands a change to every thread, after all earlier changes. Resolves when every thread has applied it; rejects with
   * {@link ApplyError} when a thread answered with errors (it has then applied the rest). Slots of clusters and
   * endpoints are filled in here.
   */
  async apply(change: ControlChange): Promise<void> {
    const placed = this.#place(change);
    this.state.apply(placed);
    const { id, json } = this.#numbered(placed);
    const answers = await Promise.all(this.#threads.map((thread) => thread.deliver(id, json)));
    const errors = [...new Set(answers.flat())];
    if (errors.length > 0) throw new ApplyError(errors);
  }

  /** All time series, added up over the threads. */
  series(): Series[] {
    const sums = copySeries(this.#retired);
    for (const metrics of this.#metrics) metrics.addTo(sums);
    return [...sums.values()];
  }

  /** Lets requests in flight finish, for at most `timeout` milliseconds, then ends the threads. */
  async drain(timeout: number): Promise<void> {
    const { id, json } = this.#numbered({ kind: "drain", timeout });
    for (const thread of this.#threads) {
      // Waited for by `drained` below: the answer only says that the message has come.
      void thread.deliver(id, json);
      thread.expectEnd();
    }
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<"late">((resolve) => timer = setTimeout(() => resolve("late"), timeout + 500));
    const done = Promise.all(this.#threads.map((thread) => thread.drained));
    if (await Promise.race([done, late]) === "late") log.warn("a data thread did not end its drain in time");
    clearTimeout(timer);
    await this.stop();
  }

  /** Ends the threads at once. */
  async stop(): Promise<void> {
    clearInterval(this.#sweepTimer);
    await Promise.all(this.#threads.map((thread) => thread.stop()));
  }

  #numbered(change: ControlChange): { id: number; json: string } {
    const id = this.#nextId++;
    return { id, json: JSON.stringify({ id, ...change }) };
  }

  #place(change: ControlChange): ControlChange {
    if (change.kind === "removeProxy") this.slots.removeProxy(change.proxy);
    if (change.kind !== "resources") return change;
    for (const name of change.removedClusters) this.slots.removeCluster(change.proxy, name);
    return {
      ...change,
      clusters: change.clusters.map((cluster) => this.slots.placeCluster(change.proxy, cluster)),
      endpoints: change.endpoints.map((endpoints) => this.slots.placeEndpoints(change.proxy, endpoints)),
      listeners: change.listeners.map((listener) => placeListenerLimits(this.slots, change.proxy, listener)),
      routes: change.routes.map((routes) => placeRouteLimits(this.slots, change.proxy, routes)),
    };
  }

  #sweep(): void {
    const now = (performance.now() - this.#epoch) / 1000;
    sweepOutliers(this.slots.counters, this.slots.hosts(), now, this.#lastSweep);
    const detecting = this.slots.detecting();
    for (const one of analyzeOutliers(this.slots.counters, detecting, now, this.#lastSweep, Math.random)) {
      const { proxy, cluster, host, duration } = one;
      log.info("endpoint ejected by its success rate", { workload: proxy, cluster, endpoint: host, ms: duration });
    }
    this.#lastSweep = now;
  }
}
