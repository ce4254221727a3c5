/**
 * A gateway from Istio's YAML to traffic: parsed and compiled as the control plane does, encoded as xDS, translated as
 * an agent does, with secrets from files as there, and carried out by real data threads.
 */
import assert from "node:assert/strict";
import { secretsOf } from "../../agent/discovery/references.ts";
import { translateResource } from "../../agent/discovery/translate_resource.ts";
import type { Translated } from "../../agent/discovery/translation.ts";
import { clusterType, endpointType, listenerType, routeType } from "../../agent/discovery/type_urls.ts";
import { WorkloadSecrets } from "../../agent/supervisor/workload_secrets.ts";
import { compileEndpoints } from "../../routing/compile/endpoints.ts";
import { compileProxy } from "../../routing/compile/proxy.ts";
import { endpoint, mesh, node, service } from "../../routing/compile/testing/mesh.ts";
import { parseResources } from "../../routing/istio/parse.ts";
import type { MeshSettings, Protocol } from "../../routing/mesh.ts";
import { encodeResource } from "../../routing/xds/resources.ts";
import { freePort, TestProxy } from "./harness.ts";

const name = "edge";

/** A service by its short name, outside the mesh's TLS. */
export interface ServedHost {
  port: number;
  protocol?: Protocol;
}

export class CompiledGateway implements AsyncDisposable {
  readonly #secrets: WorkloadSecrets;

  private constructor(readonly proxy: TestProxy, credentials: string) {
    this.#secrets = new WorkloadSecrets({
      workload: name,
      credentials,
      lookInterval: 20,
      apply: (change) => proxy.threads.apply(change),
    });
  }

  /**
   * @param yaml Gateways that select `istio: ingressgateway`, and rules
   * @param credentials folder of `NAME/tls.crt` …
   */
  static async start(
    yaml: string,
    services: Record<string, ServedHost>,
    { credentials = "/nonexistent", settings = {} }: { credentials?: string; settings?: Partial<MeshSettings> } = {},
  ): Promise<CompiledGateway> {
    const proxy = await TestProxy.start({ proxy: name });
    const gateway = new CompiledGateway(proxy, credentials);
    try {
      await gateway.#serve(yaml, services, settings);
    } catch (error) {
      await gateway[Symbol.asyncDispose]();
      throw error;
    }
    return gateway;
  }

  async #serve(yaml: string, services: Record<string, ServedHost>, settings: Partial<MeshSettings>): Promise<void> {
    const { resources, problems } = parseResources("gateway.yaml", yaml);
    assert.deepEqual(problems.filter(({ severity }) => severity === "error"), []);
    const hosts = Object.entries(services).map(([host, { port, protocol = "HTTP" }]) =>
      service(host, {
        ports: [{ name: "port", number: 9080, protocol }],
        endpoints: [endpoint(`${host}-v1`, { address: "127.0.0.1", ports: { 9080: port }, tlsMode: "disabled" })],
      })
    );
    const state = mesh(hosts, resources, settings);
    const labels = { istio: "ingressgateway" };
    const self = node({ type: "router", workload: name, service: "", labels, address: "127.0.0.1", httpProxy: null });
    const snapshot = compileProxy(state, self);
    assert.deepEqual(snapshot.warnings, []);
    const change: Translated = { clusters: [], endpoints: [], routes: [], listeners: [], secrets: [] };
    const take = (type: Parameters<typeof translateResource>[0], resource: Parameters<typeof encodeResource>[0]) => {
      const { name, bytes } = encodeResource(resource);
      const { clusters, endpoints, routes, listeners, secrets } = translateResource(type, name, bytes);
      change.clusters.push(...clusters);
      change.endpoints.push(...endpoints);
      change.routes.push(...routes);
      change.listeners.push(...listeners);
      change.secrets.push(...secrets);
    };
    for (const cluster of snapshot.clusters.values()) take(clusterType, cluster);
    for (const cluster of snapshot.endpoints) take(endpointType, compileEndpoints(state, cluster, self));
    for (const routes of snapshot.routes.values()) take(routeType, routes);
    for (const listener of snapshot.listeners.values()) take(listenerType, listener);
    const inline = new Map(change.secrets.map((secret) => [secret.name, secret]));
    await this.#secrets.provide(secretsOf(change.clusters, change.listeners), inline);
    await this.proxy.update({ proxy: name, ...change });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#secrets.stop();
    await this.proxy[Symbol.asyncDispose]();
  }
}

/** A Gateway with these servers, each a YAML flow; and a VirtualService `web` bound to it. */
export function gatewayYaml(servers: string[], rule: string): string {
  return `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: edge }
spec: { selector: { istio: ingressgateway }, servers: [${servers.join(", ")}] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec: { hosts: ["*"], gateways: [edge], ${rule} }
`;
}

/** One server of {@link gatewayYaml} on a free port. */
export function server(protocol: string, tls = "", hosts = `"*"`): { port: number; yaml: string } {
  const port = freePort();
  const yaml = serverOn(port, protocol, tls, hosts);
  return { port, yaml };
}

/** One server of {@link gatewayYaml}. */
export function serverOn(port: number, protocol: string, tls: string, hosts: string): string {
  const ending = tls === "" ? "" : `, tls: { ${tls} }`;
  const name = `p-${port}-${hosts.replaceAll(/[^a-z]/g, "-")}`;
  return `{ port: { number: ${port}, name: ${name}, protocol: ${protocol} }, hosts: [${hosts}]${ending} }`;
}

/** A route of everything to a service. */
export const toWeb = "route: [{ destination: { host: web } }]";
