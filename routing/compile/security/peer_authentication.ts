/** Which mode of mutual TLS a workload's port has: Istio's precedence, port before workload before namespace before mesh. */
import type { Metadata } from "../../istio/types.ts";
import type { MutualTls, PeerAuthentication } from "../../istio/security_types.ts";
import { selects } from "../labels.ts";

export type PortMode = "DISABLE" | "PERMISSIVE" | "STRICT";

/** What of a workload decides. */
export interface AuthenticatedWorkload {
  namespace: string;
  labels: Record<string, string>;
}

/** The PeerAuthentications of a mesh, oldest first. */
export class PeerAuthenticationIndex {
  readonly #rootNamespace: string;
  /** Of each namespace the oldest one without a selector. */
  readonly #ofNamespace = new Map<string, PeerAuthentication>();
  /** Those with a selector; in the root namespace they select nothing. */
  readonly #ofWorkloads = new Map<string, PeerAuthentication[]>();
  /** Whether any of them switches mutual TLS off: else callers need not look. */
  readonly mayDisable: boolean;

  /** @param oldestFirst in order of precedence */
  constructor(rootNamespace: string, oldestFirst: readonly PeerAuthentication[]) {
    this.#rootNamespace = rootNamespace;
    for (const policy of oldestFirst) {
      const { namespace } = policy.metadata;
      if (Object.keys(policy.spec.selector?.matchLabels ?? {}).length === 0) {
        if (!this.#ofNamespace.has(namespace)) this.#ofNamespace.set(namespace, policy);
      } else if (namespace !== rootNamespace) {
        const policies = this.#ofWorkloads.get(namespace);
        if (policies === undefined) this.#ofWorkloads.set(namespace, [policy]);
        else policies.push(policy);
      }
    }
    this.mayDisable = oldestFirst.some(({ spec: { mtls, portLevelMtls = {} } }) =>
      [mtls, ...Object.values(portLevelMtls)].some((each) => each?.mode === "DISABLE")
    );
  }

  /** @param port the workload's */
  mode(workload: AuthenticatedWorkload, port: number): PortMode {
    const { namespace, labels } = workload;
    const ofWorkload = this.#ofWorkloads.get(namespace)?.find(({ spec }) =>
      selects(spec.selector?.matchLabels, labels)
    );
    const ofPort = ofWorkload?.spec.portLevelMtls?.[port];
    return said(ofPort) ?? said(ofWorkload?.spec.mtls) ??
      (namespace === this.#rootNamespace ? undefined : said(this.#ofNamespace.get(namespace)?.spec.mtls)) ??
      said(this.#ofNamespace.get(this.#rootNamespace)?.spec.mtls) ?? "PERMISSIVE";
  }
}

/** `undefined`: it is inherited. */
function said(mutualTls: MutualTls | undefined): PortMode | undefined {
  const mode = mutualTls?.mode;
  return mode === undefined || mode === "UNSET" ? undefined : mode;
}

/** Istio's order among resources of a kind: oldest first, then by name and namespace. */
export function oldestFirst<Policy extends { metadata: Metadata }>(policies: readonly Policy[]): Policy[] {
  return [...policies].sort((one, other) =>
    created(one.metadata) - created(other.metadata) ||
    compareText(one.metadata.name, other.metadata.name) ||
    compareText(one.metadata.namespace, other.metadata.namespace)
  );
}

function created({ creationTimestamp }: Metadata): number {
  const time = creationTimestamp === undefined ? NaN : Date.parse(creationTimestamp);
  return Number.isNaN(time) ? 0 : time;
}

function compareText(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
