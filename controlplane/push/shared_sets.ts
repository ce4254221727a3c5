/** The sets of resources that proxies which see the mesh alike have in common, encoded once for all of them. */
import { compileEndpoints } from "../../routing/compile/endpoints.ts";
import { endpointsForGrpc } from "../../routing/compile/grpc_client.ts";
import type { Outbound } from "../../routing/compile/outbound.ts";
import type { ProxyParts } from "../../routing/compile/proxy.ts";
import type { Mesh } from "../../routing/mesh.ts";
import type { WorkloadNode } from "../../routing/xds/node.ts";
import { type EncodedResource, encodeResource, type XdsResource } from "../../routing/xds/resources.ts";
import { ResourceSet } from "./resource_set.ts";

/** Encoded when first asked for. */
export interface SharedSets {
  clusters(): ResourceSet;
  listeners(): ResourceSet;
  routes(): ResourceSet;
  endpoints(): ResourceSet;
}

const ofMessages = new WeakMap<ReadonlyMap<string, XdsResource>, ResourceSet>();
/** By what else decides about endpoints: where the client is. */
const ofEndpoints = new WeakMap<Outbound, Map<string, ResourceSet>>();
/** The last sets that began or ended with a resource, so that one that has not changed with the mesh stays the same object. */
const recent = new WeakMap<EncodedResource, WeakRef<ResourceSet>[]>();
const RECENT = 4;

/** The sets of a proxy of which the mesh is compiled in these parts. */
export function sharedSets({ own, shared }: ProxyParts, mesh: Mesh, node: WorkloadNode): SharedSets {
  if (shared === null) {
    return {
      clusters: () => setOfMessages(own.clusters),
      listeners: () => setOfMessages(own.listeners),
      routes: () => setOfMessages(own.routes),
      endpoints: once(() => setOf(own.endpoints.map((name) => endpointsOf(name, mesh, node)))),
    };
  }
  const { outbound, listeners } = shared;
  return {
    clusters: () => setOfMessages(outbound.clusters),
    listeners: () => setOfMessages(listeners),
    routes: () => ResourceSet.empty,
    endpoints: once(() => {
      let byLocality = ofEndpoints.get(outbound);
      if (byLocality === undefined) ofEndpoints.set(outbound, byLocality = new Map());
      let set = byLocality.get(node.locality);
      if (set === undefined) {
        set = setOf(outbound.endpoints.map((name) => endpointsOf(name, mesh, node)));
        byLocality.set(node.locality, set);
      }
      return set;
    }),
  };
}

function setOfMessages(messages: ReadonlyMap<string, XdsResource>): ResourceSet {
  let set = ofMessages.get(messages);
  if (set === undefined) ofMessages.set(messages, set = setOf([...messages.values()].map(encodeResource)));
  return set;
}

function endpointsOf(name: string, mesh: Mesh, node: WorkloadNode): EncodedResource {
  const assignment = compileEndpoints(mesh, name, node);
  return encodeResource(node.software?.kind === "grpc" ? endpointsForGrpc(assignment) : assignment);
}

function setOf(resources: readonly EncodedResource[]): ResourceSet {
  if (resources.length === 0) return ResourceSet.empty;
  const set = new ResourceSet(resources);
  const ends = [resources[0], resources[resources.length - 1]];
  const known = new Set(ends.flatMap((end) => recent.get(end) ?? []).map((each) => each.deref()));
  for (const each of known) {
    if (each === undefined) continue;
    const { changed, removed } = each.differenceTo(set);
    if (changed.length === 0 && removed.length === 0) return each;
  }
  const made = new WeakRef(set);
  for (const end of ends) recent.set(end, [made, ...recent.get(end) ?? []].slice(0, RECENT));
  return set;
}

function once(make: () => ResourceSet): () => ResourceSet {
  let made: ResourceSet | undefined;
  return () => made ??= make();
}
