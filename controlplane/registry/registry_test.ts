import { deepEqual, equal, match, notEqual } from "node:assert/strict";
import { defaultMeshSettings, parseMeshConfig } from "../../routing/istio/mesh_config.ts";
import { parseResources } from "../../routing/istio/parse.ts";
import type { WorkloadNode } from "../../routing/xds/node.ts";
import { testNode } from "../testing/test_node.ts";
import { Registry } from "./registry.ts";

function registryOf(yaml: string, nodes: WorkloadNode[] = []) {
  const workloads = nodes.map((node) => ({ node, healthy: true }));
  const registry = new Registry(defaultMeshSettings, () => workloads);
  registry.setResources(resourcesOf(yaml));
  return { registry, workloads };
}

function resourcesOf(yaml: string) {
  const { resources, problems } = parseResources("test.yaml", yaml);
  deepEqual(problems.filter(({ severity }) => severity === "error"), []);
  return resources;
}

const reviewsHost = "reviews.default.svc.cluster.local";

const reviewsService = `
apiVersion: v1
kind: Service
metadata: { name: reviews }
spec:
  selector: { app: reviews }
  ports:
  - { name: http, port: 9080, targetPort: 9081 }
  - { name: web, port: 80, targetPort: metrics, appProtocol: http }
  - { name: udp, port: 53, protocol: UDP }
---
`;

const reviewsEntry = `
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: reviews-vm }
spec:
  address: 192.0.2.1
  labels: { app: reviews, version: v2 }
  ports: { metrics: 9100 }
  serviceAccount: reviews
  locality: region/zone
---
`;

function serviceEntry(namespace: string, name: string, host: string, rest: string): string {
  return `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  hosts: ["${host}"]
  ports: [{ name: http, number: 80, protocol: HTTP, targetPort: 8080 }]
${rest}
---
`;
}

Deno.test("a Service has the WorkloadEntries that it selects, at its target ports", () => {
  const { registry } = registryOf(reviewsService + reviewsEntry + reviewsEntry.replace("app: reviews", "app: other"));
  const service = registry.mesh().services.get(reviewsHost)!;
  deepEqual(service.ports, [
    { name: "http", number: 9080, protocol: "HTTP" },
    { name: "web", number: 80, protocol: "HTTP" },
  ]);
  equal(service.endpoints.length, 1);
  deepEqual(service.endpoints[0], {
    address: "192.0.2.1",
    ports: { 9080: 9081, 80: 9100 },
    tlsMode: "disabled",
    labels: { app: "reviews", version: "v2" },
    namespace: "default",
    serviceAccount: "reviews",
    workload: "reviews-vm",
    locality: "region/zone",
    weight: 1,
    healthy: true,
  });
});

Deno.test("a registration that names no resource makes its service, with the ports of all its workloads", () => {
  const second = testNode({
    agent: "vm-2",
    ports: [...testNode().ports, { name: "tcp-admin", number: 70, protocol: "", targetAddress: "::1", targetPort: 1 }],
  });
  const { registry } = registryOf("", [testNode(), second]);
  const service = registry.mesh().services.get(reviewsHost)!;
  deepEqual(service.ports, [
    { name: "tcp-admin", number: 70, protocol: "TCP" },
    { name: "http", number: 9080, protocol: "HTTP" },
  ]);
  deepEqual(service.endpoints.map(({ ports, tlsMode }) => ({ ports, tlsMode })), [
    { ports: { 9080: 15006 }, tlsMode: "istio" },
    { ports: { 70: 15006, 9080: 15006 }, tlsMode: "istio" },
  ]);
});

Deno.test("a registration joins the Service of its name when it has the labels that it selects", () => {
  const stranger = testNode({ workload: "impostor", labels: { app: "other" } });
  const { registry } = registryOf(reviewsService, [testNode(), stranger]);
  const { endpoints } = registry.mesh().services.get(reviewsHost)!;
  deepEqual(endpoints.map(({ workload }) => workload), ["reviews-v1"]);
  equal(registry.conflicts().length, 1);
  match(registry.conflicts()[0].message, /labels do not match the selector of Service default\/reviews: app=reviews/);
});

Deno.test("a Service without selector has those who name it", () => {
  const { registry } = registryOf(reviewsService.replace("selector: { app: reviews }", "selector: {}"), [testNode()]);
  equal(registry.mesh().services.get(reviewsHost)!.endpoints.length, 1);
});

Deno.test("a registration without any of the service's ports is told", () => {
  const { registry } = registryOf(reviewsService, [testNode({ ports: [{ ...testNode().ports[0], number: 1 }] })]);
  equal(registry.mesh().services.get(reviewsHost)!.endpoints.length, 0);
  match(registry.conflicts()[0].message, /serves none of the ports of .*: 9080, 80/);
});

Deno.test("a ServiceEntry has its own endpoints, or those of the workloads that it selects", () => {
  const { registry } = registryOf(
    serviceEntry("default", "own", "own.example", "  resolution: STATIC\n  endpoints: [{ address: 192.0.2.7 }]") +
      serviceEntry(
        "default",
        "selecting",
        "selecting.example",
        "  resolution: STATIC\n  location: MESH_INTERNAL\n  workloadSelector: { labels: { app: reviews } }",
      ) + reviewsEntry,
    [testNode({ service: "selecting.example", ports: [{ ...testNode().ports[0], number: 80 }] })],
  );
  const { services } = registry.mesh();
  deepEqual(services.get("own.example")!.endpoints.map(({ address, ports }) => ({ address, ports })), [
    { address: "192.0.2.7", ports: { 80: 8080 } },
  ]);
  deepEqual(services.get("selecting.example")!.endpoints.map(({ address }) => address), ["192.0.2.1", "127.0.1.1"]);
  equal(services.get("own.example")!.location, "MESH_EXTERNAL");
});

Deno.test("a host of a namespace is published by that namespace alone", () => {
  const { registry } = registryOf(
    serviceEntry("evil", "stolen", reviewsHost, "  resolution: STATIC\n  endpoints: [{ address: 192.0.2.66 }]"),
    [testNode()],
  );
  const { endpoints } = registry.mesh().services.get(reviewsHost)!;
  deepEqual(endpoints.map(({ address }) => address), ["127.0.1.1"]);
  match(registry.conflicts()[0].message, /belongs to namespace default/);
});

Deno.test("of two namespaces that publish one host the first by name is in force, and the other is told", () => {
  const { registry } = registryOf(
    serviceEntry("b", "late", "shared.example", "  resolution: STATIC") +
      serviceEntry("a", "early", "shared.example", "  resolution: STATIC"),
  );
  equal(registry.mesh().services.get("shared.example")!.namespace, "a");
  deepEqual(registry.conflicts(), [{
    kind: "ServiceEntry",
    namespace: "b",
    name: "late",
    message: "shared.example is published by ServiceEntry a/early already",
  }]);
});

Deno.test("nobody joins a host of another namespace, nor one outside the mesh", () => {
  const { registry } = registryOf(
    serviceEntry("other", "internal", "internal.example", "  resolution: STATIC\n  location: MESH_INTERNAL") +
      serviceEntry("default", "external", "external.example", "  resolution: STATIC"),
    ["internal.example", "external.example", "unknown.example", "../x"].map((service, index) =>
      testNode({ service, workload: `w${index}`, ports: [{ ...testNode().ports[0], number: 80 }] })
    ),
  );
  const { services } = registry.mesh();
  deepEqual([...services.keys()], ["external.example", "internal.example"]);
  deepEqual([...services.values()].flatMap(({ endpoints }) => endpoints), []);
  equal(registry.conflicts().length, 4);
});

Deno.test("an unchanged service, and an unchanged mesh, is the same object", () => {
  const { registry, workloads } = registryOf(reviewsService, [
    testNode(),
    testNode({ service: "ratings", workload: "ratings-v1" }),
  ]);
  const before = registry.mesh();
  registry.invalidate();
  equal(registry.mesh(), before);
  workloads[1] = { ...workloads[1], healthy: false };
  equal(registry.mesh(), before);
  registry.invalidate();
  const after = registry.mesh();
  notEqual(after, before);
  equal(after.services.get(reviewsHost), before.services.get(reviewsHost));
  notEqual(
    after.services.get("ratings.default.svc.cluster.local"),
    before.services.get("ratings.default.svc.cluster.local"),
  );
  registry.setResources(resourcesOf(reviewsService));
  equal(registry.mesh(), after);
});

Deno.test("what does not say where it is visible is visible where mesh.yaml says", () => {
  const { settings, problems } = parseMeshConfig(
    "mesh.yaml",
    `defaultServiceExportTo: ["."]
defaultVirtualServiceExportTo: [shop]
defaultDestinationRuleExportTo: ["."]
`,
  );
  deepEqual(problems, []);
  const rule = (kind: string, name: string, spec: string) => `
apiVersion: networking.istio.io/v1
kind: ${kind}
metadata: { name: ${name} }
spec: ${spec}
---
`;
  const yaml = reviewsService +
    serviceEntry("default", "a", "a.example", "  resolution: STATIC") +
    serviceEntry("default", "b", "b.example", '  resolution: STATIC\n  exportTo: ["*"]') +
    rule("VirtualService", "v", "{ hosts: [reviews], http: [{ route: [{ destination: { host: reviews } }] }] }") +
    rule("DestinationRule", "d", "{ host: reviews }") +
    rule("DestinationRule", "e", '{ host: reviews, exportTo: ["*"] }');
  const registry = new Registry(settings, () => [{ node: testNode({ service: "made" }), healthy: true }]);
  const resources = resourcesOf(yaml);
  registry.setResources(resources);
  const { services, virtualServices, destinationRules } = registry.mesh();
  deepEqual([...services].map(([hostname, { exportTo }]) => [hostname, exportTo]), [
    ["a.example", ["."]],
    ["b.example", ["*"]],
    ["made.default.svc.cluster.local", ["."]],
    [reviewsHost, ["."]],
  ]);
  deepEqual(virtualServices.map(({ spec }) => spec.exportTo), [["shop"]]);
  deepEqual(destinationRules.map(({ spec }) => spec.exportTo), [["."], ["*"]]);
  const before = registry.mesh();
  registry.setResources([...resources]);
  equal(registry.mesh(), before);
});
