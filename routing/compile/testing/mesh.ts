/** Meshes for tests, made from Istio YAML and short descriptions. */
import { type DescMessage, type JsonValue, type MessageShape, toJson } from "@bufbuild/protobuf";
import { parseAllDocuments } from "yaml";
import type { AuthorizationPolicy, PeerAuthentication, RequestAuthentication } from "../../istio/security_types.ts";
import type { Sidecar } from "../../istio/sidecar_types.ts";
import type { Telemetry } from "../../istio/telemetry_types.ts";
import type { DestinationRule, Gateway, Resource, VirtualService } from "../../istio/types.ts";
import type { Endpoint, Mesh, MeshSettings, Protocol, Service } from "../../mesh.ts";
import type { WorkloadNode } from "../../xds/node.ts";
import { xdsRegistry } from "../../xds/registry.ts";

export const settings: MeshSettings = {
  trustDomain: "cluster.local",
  domain: "cluster.local",
  rootNamespace: "istio-system",
  outboundTrafficPolicy: "ALLOW_ANY",
  connectTimeout: 10_000,
  accessLogFile: "",
  accessLogEncoding: "TEXT",
  accessLogFormat: "",
};

/** A service with one HTTP port, 9080 unless `port` says otherwise. */
export function service(name: string, options: Partial<Service> & { port?: number } = {}): Service {
  const { port = 9080, namespace = "default", ...rest } = options;
  return {
    hostname: `${name}.${namespace}.svc.cluster.local`,
    name,
    namespace,
    ports: [{ name: "http", number: port, protocol: "HTTP" as Protocol }],
    location: "MESH_INTERNAL",
    resolution: "STATIC",
    addresses: [],
    exportTo: ["*"],
    subjectAltNames: [],
    endpoints: [],
    ...rest,
  };
}

/** A workload behind port 9080 of a service, on an agent's inbound port. */
export function endpoint(workload: string, options: Partial<Endpoint> = {}): Endpoint {
  const [app, version = "v1"] = workload.split("-");
  return {
    address: "127.0.1.1",
    ports: { 9080: 15006 },
    tlsMode: "istio",
    labels: { app, version },
    namespace: "default",
    serviceAccount: `bookinfo-${app}`,
    workload,
    locality: "",
    weight: 1,
    healthy: true,
    ...options,
  };
}

/** The workload `productpage-v1` with a proxy port. */
export function node(options: Partial<WorkloadNode> = {}): WorkloadNode {
  return {
    agent: "vm-1",
    workload: "productpage-v1",
    namespace: "default",
    serviceAccount: "bookinfo-productpage",
    service: "productpage",
    labels: { app: "productpage", version: "v1" },
    address: "127.0.1.1",
    inboundPort: 15006,
    httpProxy: { address: "127.0.0.1", port: 15002 },
    locality: "",
    ports: [{ name: "http", number: 9080, protocol: "HTTP", targetAddress: "127.0.0.1", targetPort: 9081 }],
    version: "0.1.0",
    ...options,
  };
}

/** Rules and policies from YAML, as the parser leaves them. */
export function resources(yaml: string): Resource[] {
  return parseAllDocuments(yaml).map((document) => {
    const value = document.toJS() as Resource;
    return {
      ...value,
      metadata: {
        ...value.metadata,
        namespace: value.metadata.namespace ?? "default",
        labels: {},
        annotations: value.metadata.annotations ?? {},
      },
      origin: { file: "test.yaml", line: 1, column: 1 },
    };
  });
}

/** A mesh of services and rules. */
export function mesh(services: Service[], rules: Resource[] | string = [], changes: Partial<MeshSettings> = {}): Mesh {
  const all = typeof rules === "string" ? resources(rules) : rules;
  return {
    settings: { ...settings, ...changes },
    services: new Map(services.map((each) => [each.hostname, each])),
    virtualServices: all.filter((rule): rule is VirtualService => rule.kind === "VirtualService"),
    destinationRules: all.filter((rule): rule is DestinationRule => rule.kind === "DestinationRule"),
    gateways: all.filter((rule): rule is Gateway => rule.kind === "Gateway"),
    telemetries: all.filter((rule): rule is Telemetry => rule.kind === "Telemetry"),
    sidecars: all.filter((rule): rule is Sidecar => rule.kind === "Sidecar"),
    peerAuthentications: all.filter((rule): rule is PeerAuthentication => rule.kind === "PeerAuthentication"),
    requestAuthentications: all.filter((rule): rule is RequestAuthentication => rule.kind === "RequestAuthentication"),
    authorizationPolicies: all.filter((rule): rule is AuthorizationPolicy => rule.kind === "AuthorizationPolicy"),
  };
}

/** The services of bookinfo, `reviews` with three versions on one agent. */
export function bookinfo(): Service[] {
  return [
    service("details", { endpoints: [endpoint("details-v1", { address: "127.0.1.1" })] }),
    service("productpage", { endpoints: [endpoint("productpage-v1", { address: "127.0.1.1" })] }),
    service("ratings", { endpoints: [endpoint("ratings-v1", { address: "127.0.2.1" })] }),
    service("reviews", {
      endpoints: ["v1", "v2", "v3"].map((version) => endpoint(`reviews-${version}`, { address: "127.0.3.1" })),
    }),
  ];
}

/** A message as JSON, with whatever it packs, in a form that tests compare. */
// deno-lint-ignore no-explicit-any -- tests reach deep into JSON that xDS defines
export function json<Schema extends DescMessage>(schema: Schema, message: MessageShape<Schema> | undefined): any {
  if (message === undefined) throw new Error("there is no such resource");
  return toJson(schema, message, { registry: xdsRegistry }) as JsonValue;
}
