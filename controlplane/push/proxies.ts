/** Every proxy that is or was connected, for `proxy-status`. */
import { formatSpiffeId } from "../../ca/spiffe/spiffe_id.ts";
import type { WorkloadNode } from "../../routing/xds/node.ts";
import { workloadKey } from "../registry/registered_workloads.ts";
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

interface Entry {
  connection: string;
  node: WorkloadNode;
  since: number;
  status(): Record<ResourceType, SubscriptionStatus>;
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

  connect(connection: string, node: WorkloadNode, status: Entry["status"]): void {
    this.#forgetOld();
    this.#entries.set(workloadKey(node), { connection, node, status, since: this.#now(), connected: true });
  }

  disconnect(connection: string, node: WorkloadNode): void {
    const entry = this.#entries.get(workloadKey(node));
    // A newer stream may have taken over.
    if (entry?.connection !== connection) return;
    const last = entry.status();
    entry.status = () => last;
    entry.connected = false;
    entry.since = this.#now();
  }

  list(): ProxyStatus[] {
    this.#forgetOld();
    return [...this.#entries.keys()].sort().map((key) => this.#describe(this.#entries.get(key)!));
  }

  #describe({ node, connected, since, status }: Entry): ProxyStatus {
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
      types: status(),
    };
  }

  #forgetOld(): void {
    const oldest = this.#now() - retention;
    for (const [key, { connected, since }] of this.#entries) {
      if (!connected && since < oldest) this.#entries.delete(key);
    }
  }
}
