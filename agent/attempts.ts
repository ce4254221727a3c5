/**
 * The attempts to have one request answered: how many there were and at which hosts, whether there may be another, and
 * what of them counts in the cluster's shared counters.
 */
import type { Cluster, Host } from "./balance/cluster.ts";
import { ClusterSlot, HostSlot } from "./config/shared_memory.ts";
import { Flag } from "./respond/outcome.ts";
import { type RetryPolicy, withinBudget } from "../routing/resilience/retry.ts";

export class Attempts {
  /** So far, the present one included. */
  count = 0;
  /** False once what was sent of the request has not been kept. */
  replayable = true;
  #retrying = false;
  #tried: Host[] = [];
  #left: Set<number> | null = null;

  /** Hosts that the next attempt should rather not go to; `null`: there are none. */
  avoided(retry: RetryPolicy | null): readonly Host[] | null {
    return this.count > 1 && retry !== null && retry.avoidPreviousHosts ? this.#tried : null;
  }

  /** Priorities that the next attempt leaves out, where any other has hosts; `null`: none. */
  leftPriorities({ leavePrioritiesEvery: every = 0 }: RetryPolicy): ReadonlySet<number> | null {
    if (every > 0 && this.#tried.length > 0 && this.#tried.length % every === 0) {
      this.#left = new Set(this.#tried.map(({ priority }) => priority));
    }
    return this.#left;
  }

  /** The present attempt has a connection. */
  started({ shared, config }: Cluster, host: Host): void {
    Atomics.add(shared, config.slot + ClusterSlot.activeRequests, 1);
    Atomics.add(shared, config.slot + ClusterSlot.requests, 1);
    Atomics.add(shared, host.slot + HostSlot.activeRequests, 1);
  }

  /** The attempt of which {@link started} was told is over. */
  ended({ shared, config }: Cluster, host: Host): void {
    Atomics.sub(shared, config.slot + ClusterSlot.activeRequests, 1);
    Atomics.sub(shared, host.slot + HostSlot.activeRequests, 1);
  }

  /**
   * Takes leave for another attempt, where the policy wants one after what happened at `host`.
   *
   * @returns `Flag.none`: there may be one; else the flag that tells why not
   */
  retry(policy: RetryPolicy, cluster: Cluster, host: Host): number {
    if (this.count > policy.numRetries) return Flag.URX;
    const { shared, config: { slot } } = cluster;
    if (!this.#retrying) {
      // As in Envoy the response that there is goes to the caller, and the flag tells what kept it from being retried.
      if (!hasRoom(cluster)) {
        Atomics.add(shared, slot + ClusterSlot.retryOverflows, 1);
        return Flag.UO;
      }
      this.#retrying = true;
      Atomics.add(shared, slot + ClusterSlot.activeRetries, 1);
    }
    Atomics.add(shared, slot + ClusterSlot.retries, 1);
    this.#tried.push(host);
    return Flag.none;
  }

  /** The request is over: ready for the next one. */
  finish(cluster: Cluster | null): void {
    if (this.#retrying) {
      Atomics.sub(cluster!.shared, cluster!.config.slot + ClusterSlot.activeRetries, 1);
      this.#retrying = false;
    }
    this.count = 0;
    this.replayable = true;
    if (this.#tried.length > 0) this.#tried = [];
    this.#left = null;
  }
}

/** Whether the cluster's limit leaves room for another retry. */
function hasRoom({ shared, config: { slot, circuitBreakers } }: Cluster): boolean {
  const active = Atomics.load(shared, slot + ClusterSlot.activeRetries);
  const { maxRetries, retryBudget } = circuitBreakers;
  if (retryBudget === undefined) return active < maxRetries;
  const requests = Atomics.load(shared, slot + ClusterSlot.activeRequests) +
    Atomics.load(shared, slot + ClusterSlot.pendingRequests);
  return withinBudget(retryBudget, active, requests);
}
