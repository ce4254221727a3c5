/** The resources of one proxy at one state of the mesh, encoded. */
import { compileEndpoints } from "../../routing/compile/endpoints.ts";
import { endpointsForGrpc } from "../../routing/compile/grpc_client.ts";
import { compileProxy, type ProxySnapshot } from "../../routing/compile/proxy.ts";
import { compileSecret } from "../../routing/compile/secrets.ts";
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
    // Secrets are asked for by name alone.
    if (type === "SDS") return [];
    return type === "EDS" ? this.#endpoints : this.#messages(type).keys();
  }

  resource(type: ResourceType, name: string): EncodedResource | undefined {
    if (type === "EDS") {
      if (!this.#endpoints.has(name)) return undefined;
      const assignment = compileEndpoints(this.mesh, name, this.#node);
      return encodeResource(this.#node.software?.kind === "grpc" ? endpointsForGrpc(assignment) : assignment);
    }
    const message = type === "SDS" ? compileSecret(name, this.#node) : this.#messages(type).get(name);
    return message === undefined ? undefined : encodeResource(message);
  }

  #messages(type: Exclude<ResourceType, "EDS" | "SDS">): ReadonlyMap<string, XdsResource> {
    const { clusters, listeners, routes } = this.#snapshot;
    return { CDS: clusters, LDS: listeners, RDS: routes }[type];
  }
}
