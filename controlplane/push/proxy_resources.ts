/** The resources of one proxy at one state of the mesh, encoded. */
import { compileEndpoints } from "../../routing/compile/endpoints.ts";
import { compileProxy, type ProxySnapshot } from "../../routing/compile/proxy.ts";
import type { CompileWarning } from "../../routing/compile/warning.ts";
import type { Mesh } from "../../routing/mesh.ts";
import type { WorkloadNode } from "../../routing/xds/node.ts";
import { type EncodedResource, encodeResource, type XdsResource } from "../../routing/xds/resources.ts";
import type { ResourceType } from "./resource_types.ts";

/** What a subscription chooses from. */
export interface AvailableResources {
  /** Names of all resources of the type. */
  names(type: ResourceType): Iterable<string>;
  resource(type: ResourceType, name: string): EncodedResource | undefined;
}

export class ProxyResources implements AvailableResources {
  readonly mesh: Mesh;
  readonly #node: WorkloadNode;
  readonly #snapshot: ProxySnapshot;
  readonly #endpoints: ReadonlySet<string>;

  constructor(mesh: Mesh, node: WorkloadNode) {
    this.mesh = mesh;
    this.#node = node;
    this.#snapshot = compileProxy(mesh, node);
    this.#endpoints = new Set(this.#snapshot.endpoints);
  }

  get warnings(): CompileWarning[] {
    return this.#snapshot.warnings;
  }

  names(type: ResourceType): Iterable<string> {
    return type === "EDS" ? this.#endpoints : this.#messages(type).keys();
  }

  resource(type: ResourceType, name: string): EncodedResource | undefined {
    if (type === "EDS") {
      return this.#endpoints.has(name) ? encodeResource(compileEndpoints(this.mesh, name, this.#node)) : undefined;
    }
    const message = this.#messages(type).get(name);
    return message === undefined ? undefined : encodeResource(message);
  }

  #messages(type: Exclude<ResourceType, "EDS">): ReadonlyMap<string, XdsResource> {
    const { clusters, listeners, routes } = this.#snapshot;
    return { CDS: clusters, LDS: listeners, RDS: routes }[type];
  }
}
