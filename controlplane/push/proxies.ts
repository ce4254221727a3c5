/** Every proxy that is or was connected, for `proxy-status`. */
import { formatSpiffeId } from "../../ca/spiffe/spiffe_id.ts";
import type { WorkloadNode } from "../../routing/xds/node.ts";
import { workloadKey } from "../registry/registered_workloads.ts";
import type { HeldResource } from "./push_stream.ts";
import type { ResourceType } from "./resource_types.ts";
import type { SubscriptionStatus } from "./delivery.ts";

/** One workload's proxy as the control plane sees it. */
export interface ProxyStatus {
  agent: string;
  workload: string;
  namespace: string;
  /** SPIFFE URI. */
  identity: string;
  address: string;
  /** Of skiff. */
  version: string;
  connected: boolean;
  /** RFC 3339; absent while it is not connected. */
  connectedSince?: string;
  /** RFC 3339; absent while it is connected. */
  disconnectedSince?: string;
  types: Record<ResourceType, SubscriptionStatus>;
}

/** What is known of a proxy's stream. */
export interface ProxyStream {
  status(): Record<ResourceType, SubscriptionStatus>;
  held(): HeldResource[];
}

/** A proxy with everything that it has. */
export interface ProxyConfiguration {
  node: WorkloadNode;
  status: Record<ResourceType, SubscriptionStatus>;
  held: HeldResource[];
}

interface Entry {
  connection: string;
  node: WorkloadNode;
  since: number;
  stream: ProxyStream;
  connected: boolean;
}

/** Milliseconds for which a proxy that is gone is still shown. */
const retention = 60 * 60 * 1000;

export class Proxies {
  readonly #entries = new Map<string, Entry>();
  readonly #trustDomain: string;
  readonly #now: () => number;

  constructor(trustDomain: string, now: () => number) {
    this.#trustDomain = trustDomain;
    this.#now = now;
  }

  connect(connection: string, node: WorkloadNode, stream: ProxyStream): void {
    this.#forgetOld();
    this.#entries.set(workloadKey(node), { connection, node, stream, since: this.#now(), connected: true });
  }

  disconnect(connection: string, node: WorkloadNode): void {
    const entry = this.#entries.get(workloadKey(node));
    // A newer stream may have taken over.
    if (entry?.connection !== connection) return;
    const last = entry.stream.status();
    // What it has goes with the stream: only what it was told last is still shown.
    entry.stream = { status: () => last, held: () => [] };
    entry.connected = false;
    entry.since = this.#now();
  }

  list(): ProxyStatus[] {
    this.#forgetOld();
    return [...this.#entries.keys()].sort().map((key) => this.#describe(this.#entries.get(key)!));
  }

  /** The connected proxies for which `wanted` holds, each with what it has. */
  configurations(wanted: (node: WorkloadNode) => boolean): ProxyConfiguration[] {
    return [...this.#entries.values()].filter(({ connected, node }) => connected && wanted(node))
      .map(({ node, stream }) => ({ node, status: stream.status(), held: stream.held() }));
  }

  #describe({ node, connected, since, stream }: Entry): ProxyStatus {
    const { agent, workload, namespace, serviceAccount, address, version } = node;
    return {
      agent,
      workload,
      namespace,
      identity: formatSpiffeId({ trustDomain: this.#trustDomain, namespace, serviceAccount }),
      address,
      version,
      connected,
      [connected ? "connectedSince" : "disconnectedSince"]: new Date(since).toISOString(),
      types: stream.status(),
    };
  }

  #forgetOld(): void {
    const oldest = this.#now() - retention;
    for (const [key, { connected, since }] of this.#entries) {
      if (!connected && since < oldest) this.#entries.delete(key);
    }
  }
}
