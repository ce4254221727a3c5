/** The resources of one proxy at one state of the mesh, encoded. */
import { compileProxyParts, type ProxySnapshot } from "../../routing/compile/proxy.ts";
import { compileSecret } from "../../routing/compile/secrets.ts";
import type { CompileWarning } from "../../routing/compile/warning.ts";
import type { Mesh } from "../../routing/mesh.ts";
import type { WorkloadNode } from "../../routing/xds/node.ts";
import { type EncodedResource, encodeResource, type XdsResource } from "../../routing/xds/resources.ts";
import { ResourceSet } from "./resource_set.ts";
import type { ResourceType } from "./resource_types.ts";
import { type SharedSets, sharedSets } from "./shared_sets.ts";

/** What a subscription chooses from. */
export interface AvailableResources {
  /** What all proxies that see the mesh alike have: the same object for each of them. */
  shared(type: ResourceType): ResourceSet;
  /** By name, what this proxy has beyond, or instead. */
  own(type: ResourceType): ReadonlyMap<string, unknown>;
  resource(type: ResourceType, name: string): EncodedResource | undefined;
}

const nothing = new Map<string, never>();

export class ProxyResources implements AvailableResources {
  readonly mesh: Mesh;
  readonly #node: WorkloadNode;
  readonly #own: Pick<ProxySnapshot, "clusters" | "listeners" | "routes">;
  readonly #warnings: CompileWarning[];
  readonly #shared: SharedSets;

  constructor(mesh: Mesh, node: WorkloadNode) {
    this.mesh = mesh;
    this.#node = node;
    const parts = compileProxyParts(mesh, node);
    this.#warnings = parts.own.warnings;
    this.#own = parts.shared === null ? { clusters: nothing, listeners: nothing, routes: nothing } : parts.own;
    this.#shared = sharedSets(parts, mesh, node);
  }

  get warnings(): CompileWarning[] {
    return this.#warnings;
  }

  shared(type: ResourceType): ResourceSet {
    switch (type) {
      case "CDS":
        return this.#shared.clusters();
      case "EDS":
        return this.#shared.endpoints();
      case "LDS":
        return this.#shared.listeners();
      case "RDS":
        return this.#shared.routes();
      case "SDS":
        // Secrets are asked for by name alone.
        return ResourceSet.empty;
    }
  }

  own(type: ResourceType): ReadonlyMap<string, XdsResource> {
    const { clusters, listeners, routes } = this.#own;
    return { CDS: clusters, LDS: listeners, RDS: routes, EDS: nothing, SDS: nothing }[type];
  }

  resource(type: ResourceType, name: string): EncodedResource | undefined {
    const message = type === "SDS" ? compileSecret(name, this.#node) : this.own(type).get(name);
    return message === undefined ? this.shared(type).get(name) : encodeResource(message);
  }
}
