/** A workload as its agent runs it, but for the stream: Istio's YAML in, data threads configured, names resolved. */
import { WorkloadConfiguration } from "../../agent/discovery/workload_configuration.ts";
import { translateResource } from "../../agent/discovery/translate_resource.ts";
import { clusterType, endpointType, listenerType, routeType } from "../../agent/discovery/type_urls.ts";
import { Resolver } from "../../agent/dns/resolver.ts";
import type { NameServer } from "../../agent/dns/system_files.ts";
import { WatchedNames } from "../../agent/dns/watched_names.ts";
import { Registry } from "../../controlplane/registry/registry.ts";
import { compileEndpoints } from "../../routing/compile/endpoints.ts";
import { compileProxy } from "../../routing/compile/proxy.ts";
import { parseMeshConfig } from "../../routing/istio/mesh_config.ts";
import { parseResources } from "../../routing/istio/parse.ts";
import type { Mesh } from "../../routing/mesh.ts";
import type { WorkloadNode } from "../../routing/xds/node.ts";
import { encodeResource, type XdsResource } from "../../routing/xds/resources.ts";
import type { TestProxy } from "./harness.ts";

/** The mesh of these resources, read as the control plane reads them. @throws Error for the first that is not valid */
export function meshOf(yaml: string, meshYaml = ""): Mesh {
  const { settings } = parseMeshConfig("mesh.yaml", meshYaml);
  const { resources, problems } = parseResources("test.yaml", yaml);
  const error = problems.find(({ severity }) => severity === "error");
  if (error !== undefined) throw new Error(`${error.path}: ${error.message}`);
  const registry = new Registry(settings, () => []);
  registry.setResources(resources);
  return registry.mesh();
}

/** Configures the proxy for the workload; it goes on resolving names until it is closed. */
export async function configureWorkload(
  proxy: TestProxy,
  mesh: Mesh,
  node: WorkloadNode,
  nameServer: NameServer,
): Promise<WorkloadConfiguration> {
  const resolver = new Resolver({ servers: [nameServer] });
  const configuration = new WorkloadConfiguration({
    workload: node.workload,
    owner: node.workload,
    translate: translateResource,
    apply: (change) => proxy.threads.apply({ kind: "resources", proxy: node.workload, ...change }),
    names: new WatchedNames((name, type) => resolver.resolve(name, type)),
    mayDial: (address) => address !== "127.0.0.66",
    storage: { read: () => Promise.resolve(null), write: () => Promise.resolve() },
  });
  const resolve = (cluster: string, name: string, port: number) => configuration.resolve(cluster, name, port);
  proxy.threads.resolvers.set(node.workload, resolve);
  const { clusters, endpoints, listeners, routes } = compileProxy(mesh, node);
  const update = (type: typeof clusterType, messages: Iterable<XdsResource>) => ({
    type,
    resources: [...messages].map(encodeResource).map(({ name, version, bytes }) => ({ name, version, value: bytes })),
    removed: [],
  });
  const verdicts = await configuration.update([
    update(clusterType, clusters.values()),
    update(endpointType as typeof clusterType, endpoints.map((name) => compileEndpoints(mesh, name, node))),
    update(listenerType as typeof clusterType, listeners.values()),
    update(routeType as typeof clusterType, routes.values()),
  ]);
  const refused = verdicts.find((verdict) => verdict !== null);
  if (refused !== undefined) throw new Error(refused ?? "");
  return configuration;
}
