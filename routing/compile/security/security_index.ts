/** The security policies of one mesh, looked up by workload; made once per mesh object. */
import type { Mesh } from "../../mesh.ts";
import type { AuthorizationPolicy, PolicyTarget, RequestAuthentication } from "../../istio/security_types.ts";
import type { Telemetry } from "../../istio/telemetry_types.ts";
import { resolveHost } from "../../istio/host.ts";
import { selects } from "../labels.ts";
import { oldestFirst, PeerAuthenticationIndex } from "./peer_authentication.ts";

/** A workload as policies see it. */
export interface PolicyWorkload {
  namespace: string;
  labels: Record<string, string>;
  /** Of the service it belongs to; empty: none. */
  hostname: string;
}

export class SecurityIndex {
  readonly peerAuthentication: PeerAuthenticationIndex;
  readonly #mesh: Mesh;
  readonly #policies: Map<string, AuthorizationPolicy[]>;
  readonly #requestAuthentications: Map<string, RequestAuthentication[]>;
  readonly #telemetries: Map<string, Telemetry[]>;

  constructor(mesh: Mesh) {
    this.#mesh = mesh;
    this.peerAuthentication = new PeerAuthenticationIndex(
      mesh.settings.rootNamespace,
      oldestFirst(mesh.peerAuthentications ?? []),
    );
    const byNamespace = ({ metadata }: { metadata: { namespace: string } }) => metadata.namespace;
    this.#policies = Map.groupBy(oldestFirst(mesh.authorizationPolicies ?? []), byNamespace);
    this.#requestAuthentications = Map.groupBy(oldestFirst(mesh.requestAuthentications ?? []), byNamespace);
    this.#telemetries = Map.groupBy(oldestFirst(mesh.telemetries ?? []), byNamespace);
  }

  /** Those for the workload: the root namespace's first, then its own namespace's. */
  authorizationPolicies(workload: PolicyWorkload): AuthorizationPolicy[] {
    return this.#applying(this.#policies, workload);
  }

  requestAuthentications(workload: PolicyWorkload): RequestAuthentication[] {
    return this.#applying(this.#requestAuthentications, workload);
  }

  /** Telemetries are attached as policies are. */
  telemetries(workload: PolicyWorkload): Telemetry[] {
    return this.#applying(this.#telemetries, workload);
  }

  #applying<Policy extends { metadata: { namespace: string }; spec: PolicyTarget }>(
    policies: Map<string, Policy[]>,
    workload: PolicyWorkload,
  ): Policy[] {
    const namespaces = new Set([this.#mesh.settings.rootNamespace, workload.namespace]);
    return [...namespaces].flatMap((namespace) => policies.get(namespace) ?? [])
      .filter((policy) => this.#targets(policy.spec, policy.metadata.namespace, workload));
  }

  #targets(
    { selector, targetRef, targetRefs = [] }: PolicyTarget,
    namespace: string,
    workload: PolicyWorkload,
  ): boolean {
    const references = targetRef === undefined ? targetRefs : [targetRef];
    if (references.length === 0) return selects(selector?.matchLabels, workload.labels);
    // Services and their hosts are of the policy's own namespace. Other kinds are nothing that a workload serves.
    return namespace === workload.namespace && workload.hostname !== "" &&
      references.some(({ kind, name }) =>
        kind === "Service"
          ? resolveHost(name, namespace, this.#mesh.settings.domain) === workload.hostname
          : kind === "ServiceEntry" &&
            (this.#mesh.serviceEntryHosts?.get(`${namespace}/${name}`)?.includes(workload.hostname) ?? false)
      );
  }
}

const indexes = new WeakMap<Mesh, SecurityIndex>();

/** The index of a mesh, made when first asked for. */
export function securityIndex(mesh: Mesh): SecurityIndex {
  let index = indexes.get(mesh);
  if (index === undefined) indexes.set(mesh, index = new SecurityIndex(mesh));
  return index;
}
