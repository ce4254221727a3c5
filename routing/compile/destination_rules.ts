/** Which DestinationRules a client uses towards a host, and what several of them say together. */
import type { DestinationRule, Subset, TrafficPolicy } from "../istio/types.ts";
import { resolveHost } from "../istio/host.ts";
import type { Mesh, Service } from "../mesh.ts";
import { HostTable } from "./host_table.ts";
import { ListToken, listToken } from "./intern.ts";
import { selects } from "./labels.ts";
import { shapesConnections } from "./tcp_proxy.ts";
import { exportBreadth, exportedTo } from "./visibility.ts";

/** The client: what of a workload decides which rules it follows. */
export interface Client {
  /** Absent: a workload. */
  type?: "router";
  namespace: string;
  labels: Record<string, string>;
  /** Short name of the service that it belongs to; absent or empty: none. */
  service?: string;
  /** `region/zone/subzone`; absent or empty: unknown. Decides which endpoints are near. */
  locality?: string;
}

/** The rules of one host for one client, consolidated. The same rules always give the same object. */
export interface RuleSet {
  /** By precedence; empty where no rule applies. */
  rules: readonly DestinationRule[];
  trafficPolicy: TrafficPolicy | undefined;
  /** By name; of two with one name the first. */
  subsets: ReadonlyMap<string, { subset: Subset; rule: DestinationRule }>;
}

const consolidated = new WeakMap<ListToken, RuleSet>();

/** DestinationRules of a mesh by namespace and host. */
export class DestinationRuleIndex {
  readonly #byNamespace = new Map<string, HostTable<DestinationRule>>();
  readonly #byHost = new HostTable<DestinationRule>();
  readonly #rootNamespace: string;
  /** Whether some rule is for selected workloads only, so that clients of one namespace may differ. */
  readonly selective: boolean = false;

  /** Whether some rule shapes connections that are relayed as they are. */
  readonly shapesConnections: boolean;

  /** @param rules in order of precedence */
  constructor(mesh: Mesh, rules: readonly DestinationRule[]) {
    this.#rootNamespace = mesh.settings.rootNamespace;
    for (const rule of rules) {
      const { namespace } = rule.metadata;
      const host = resolveHost(rule.spec.host, namespace, mesh.settings.domain).toLowerCase();
      let table = this.#byNamespace.get(namespace);
      if (table === undefined) this.#byNamespace.set(namespace, table = new HostTable());
      table.add(host, rule);
      this.#byHost.add(host, rule);
      if (rule.spec.workloadSelector !== undefined) this.selective = true;
    }
    this.shapesConnections = rules.some(({ spec: { trafficPolicy: policy } }) =>
      policy !== undefined && [policy, ...policy.portLevelSettings ?? []].some(shapesConnections)
    );
  }

  /**
   * The rules that a client follows towards a service: those of the client's namespace, else of the service's, else
   * of the root namespace; within a namespace those of the most specific host.
   */
  rulesFor(service: Service, client: Client): RuleSet {
    const hostname = service.hostname.toLowerCase();
    // A client in the root namespace prefers the service's own rules to the mesh-wide ones that live beside it.
    const ownNamespace = client.namespace === this.#rootNamespace
      ? this.#visible(client.namespace, hostname, client, 0)
      : this.#visible(client.namespace, hostname, client, 2);
    return ownNamespace ?? this.#visible(service.namespace, hostname, client, 2) ??
      this.#visible(this.#rootNamespace, hostname, client, 2) ?? consolidate([]);
  }

  /** Every rule of any namespace that names this host: some client may follow it. */
  allFor(hostname: string): DestinationRule[] {
    return [...this.#byHost.matches(hostname.toLowerCase())].flat();
  }

  #visible(namespace: string, hostname: string, client: Client, breadth: 0 | 1 | 2): RuleSet | undefined {
    const table = this.#byNamespace.get(namespace);
    if (table === undefined) return undefined;
    for (const rules of table.matches(hostname)) {
      const applying = rules.filter(({ spec }) =>
        exportedTo(spec.exportTo, namespace, client.namespace) &&
        exportBreadth(spec.exportTo, namespace) <= breadth &&
        (spec.workloadSelector === undefined ||
          (namespace === client.namespace && selects(spec.workloadSelector.matchLabels, client.labels)))
      );
      if (applying.length > 0) return consolidate(applying);
    }
    return undefined;
  }
}

/**
 * Joins rules of one host, as Istio does: the first traffic policy holds, subsets of all rules count, the first of a
 * name wins. Rules for selected workloads go before those for all.
 */
function consolidate(rules: readonly DestinationRule[]): RuleSet {
  const ordered = rules.some(({ spec }) => spec.workloadSelector !== undefined)
    ? [
      ...rules.filter(({ spec }) => spec.workloadSelector !== undefined),
      ...rules.filter(({ spec }) => spec.workloadSelector === undefined),
    ]
    : rules;
  const token = listToken(ordered);
  const known = consolidated.get(token);
  if (known !== undefined) return known;
  const subsets = new Map<string, { subset: Subset; rule: DestinationRule }>();
  for (const rule of ordered) {
    for (const subset of rule.spec.subsets ?? []) {
      if (!subsets.has(subset.name)) subsets.set(subset.name, { subset, rule });
    }
  }
  const trafficPolicy = ordered.find(({ spec }) => spec.trafficPolicy !== undefined)?.spec.trafficPolicy;
  const result: RuleSet = { rules: ordered, trafficPolicy, subsets };
  consolidated.set(token, result);
  return result;
}
