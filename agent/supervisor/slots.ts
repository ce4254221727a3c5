/** Gives clusters and endpoints their places in the counters that all threads share. */
import { AgentSlot, agentSlot, ClusterSlot, HostSlot, sharedSlots } from "../config/shared_memory.ts";
import type { ClusterConfig, EndpointsConfig, OutlierDetectionConfig, RateLimitConfig } from "../config/model.ts";
import type { DetectingCluster } from "./outlier_analysis.ts";
import { bucketLength } from "../filters/token_bucket.ts";

/**
 * How long a freed slot rests before it is zeroed and given away: requests that began under the old configuration
 * still count in it. Longer than most requests; a later decrement only makes a limit looser by one.
 */
const restMilliseconds = 10 * 60_000;

/** Where one cluster and its endpoints count. */
interface ClusterPlace {
  slot: number;
  /** By `address:port`, of a logical host by `name:port`. */
  hosts: Map<string, number>;
  /** `null` where outlier detection is off. */
  detection: OutlierDetectionConfig | null;
  /** Outlier detection's analysis interval in milliseconds; 0 where it is off. */
  interval: number;
}

/** An endpoint as the outlier sweep and `/clusters` see it. */
export interface HostPlace {
  proxy: string;
  cluster: string;
  /** `address:port`. */
  host: string;
  slot: number;
  clusterSlot: number;
  /** Outlier detection's analysis interval in milliseconds; 0 where it is off. */
  interval: number;
}

/** More clusters and endpoints than the shared memory has places for. */
export class OutOfSlotsError extends Error {
  override readonly name = "OutOfSlotsError";
  constructor() {
    super(`clusters and endpoints need more than ${sharedSlots} shared counters; reduce what this agent can reach`);
  }
}

export class Slots {
  readonly counters: Int32Array;
  /** By proxy, then by cluster. */
  readonly #places = new Map<string, Map<string, ClusterPlace>>();
  /** By proxy, then by the key of the rate limit. */
  readonly #buckets = new Map<string, Map<string, number>>();
  readonly #resting: { slot: number; length: number; until: number }[] = [];
  readonly #free = new Map<number, number[]>();
  readonly #now: () => number;
  /** Slot 0 is what translation writes before a place is given: nobody counts there. */
  #next: number = agentSlot + AgentSlot.length;

  /** `now` is in milliseconds and never goes back. */
  constructor(readonly memory: SharedArrayBuffer, now: () => number = () => performance.now()) {
    this.counters = new Int32Array(memory);
    this.#now = now;
  }

  /** The cluster with its slot: the same for the same name as long as the proxy has it. */
  placeCluster(proxy: string, cluster: ClusterConfig): ClusterConfig {
    const place = this.#place(proxy, cluster.name);
    place.detection = cluster.outlierDetection;
    place.interval = cluster.outlierDetection?.interval ?? 0;
    return { ...cluster, slot: place.slot };
  }

  /** The endpoints with their slots; those of endpoints that are gone are freed. */
  placeEndpoints(proxy: string, endpoints: EndpointsConfig): EndpointsConfig {
    const place = this.#place(proxy, endpoints.cluster);
    const gone = new Map(place.hosts);
    const localities = endpoints.localities.map((locality) => ({
      ...locality,
      endpoints: locality.endpoints.map((endpoint) => {
        const host = `${endpoint.logicalName ?? endpoint.address}:${endpoint.port}`;
        const slot = place.hosts.get(host) ?? this.#allocate(HostSlot.length);
        place.hosts.set(host, slot);
        gone.delete(host);
        return { ...endpoint, slot };
      }),
    }));
    for (const [host, slot] of gone) {
      place.hosts.delete(host);
      this.#freeHost(place, slot);
    }
    return { ...endpoints, localities };
  }

  removeCluster(proxy: string, cluster: string): void {
    const place = this.#places.get(proxy)?.get(cluster);
    if (place === undefined) return;
    for (const slot of place.hosts.values()) this.#freeHost(place, slot);
    this.#rest(place.slot, ClusterSlot.length);
    this.#places.get(proxy)!.delete(cluster);
  }

  /** The place of a rate limit's bucket: the same for the same key as long as there is the proxy. */
  placeRateLimit(proxy: string, limit: RateLimitConfig): RateLimitConfig {
    const buckets = this.#buckets.get(proxy) ?? new Map<string, number>();
    this.#buckets.set(proxy, buckets);
    const slot = buckets.get(limit.key) ?? this.#allocate(bucketLength);
    buckets.set(limit.key, slot);
    return { ...limit, bucket: { ...limit.bucket, slot } };
  }

  removeProxy(proxy: string): void {
    for (const slot of this.#buckets.get(proxy)?.values() ?? []) this.#rest(slot, bucketLength);
    this.#buckets.delete(proxy);
    for (const cluster of [...this.#places.get(proxy)?.keys() ?? []]) this.removeCluster(proxy, cluster);
    this.#places.delete(proxy);
  }

  /** Every endpoint that has a slot. */
  *hosts(): Generator<HostPlace> {
    for (const [proxy, clusters] of this.#places) {
      for (const [cluster, place] of clusters) {
        for (const [host, slot] of place.hosts) {
          yield { proxy, cluster, host, slot, clusterSlot: place.slot, interval: place.interval };
        }
      }
    }
  }

  /** Every cluster whose outliers are detected. */
  *detecting(): Generator<DetectingCluster> {
    for (const [proxy, clusters] of this.#places) {
      for (const [cluster, { slot, hosts, detection }] of clusters) {
        if (detection !== null) yield { proxy, cluster, slot, detection, hosts };
      }
    }
  }

  /** Every cluster that has a slot. */
  *clusters(): Generator<{ proxy: string; cluster: string; slot: number }> {
    for (const [proxy, clusters] of this.#places) {
      for (const [cluster, place] of clusters) yield { proxy, cluster, slot: place.slot };
    }
  }

  #place(proxy: string, cluster: string): ClusterPlace {
    const clusters = this.#places.get(proxy) ?? new Map<string, ClusterPlace>();
    this.#places.set(proxy, clusters);
    let place = clusters.get(cluster);
    if (place === undefined) {
      place = { slot: this.#allocate(ClusterSlot.length), hosts: new Map(), detection: null, interval: 0 };
      clusters.set(cluster, place);
    }
    return place;
  }

  #freeHost(place: ClusterPlace, slot: number): void {
    // An ejected endpoint that leaves no longer counts among its cluster's ejected ones.
    if (Atomics.compareExchange(this.counters, slot + HostSlot.ejected, 1, 0) === 1) {
      Atomics.sub(this.counters, place.slot + ClusterSlot.ejectedHosts, 1);
    }
    this.#rest(slot, HostSlot.length);
  }

  #rest(slot: number, length: number): void {
    this.#resting.push({ slot, length, until: this.#now() + restMilliseconds });
  }

  #allocate(length: number): number {
    const now = this.#now();
    while (this.#resting.length > 0 && this.#resting[0].until <= now) {
      const rested = this.#resting.shift()!;
      const free = this.#free.get(rested.length) ?? [];
      this.#free.set(rested.length, free);
      free.push(rested.slot);
    }
    const reused = this.#free.get(length)?.pop();
    if (reused !== undefined) {
      for (let i = 0; i < length; i++) Atomics.store(this.counters, reused + i, 0);
      return reused;
    }
    if (this.#next + length > this.counters.length) throw new OutOfSlotsError();
    const slot = this.#next;
    this.#next += length;
    return slot;
  }
}
