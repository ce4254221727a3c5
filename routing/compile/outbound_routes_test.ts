import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { MeshSettings, Protocol, Service } from "../mesh.ts";
import { RouteConfigurationSchema } from "../xds/gen/envoy/config/route/v3/route_pb.ts";
import type { WorkloadNode } from "../xds/node.ts";
import { compileProxy } from "./proxy.ts";
import { json, mesh, node, service } from "./testing/mesh.ts";

/** Domains of each virtual host, and where its last route leads. */
// deno-lint-ignore no-explicit-any -- JSON of xDS
function hosts(services: Service[], rules = "", changes: Partial<WorkloadNode> = {}): Record<string, any> {
  const configuration = json(
    RouteConfigurationSchema,
    compileProxy(mesh(services, rules), node(changes)).routes.get("http_proxy"),
  );
  // deno-lint-ignore no-explicit-any -- JSON of xDS
  return Object.fromEntries(configuration.virtualHosts.map((each: any) => [each.name, each]));
}

function ports(...numbers: number[]) {
  return numbers.map((number) => ({ name: `http-${number}`, number, protocol: "HTTP" as Protocol }));
}

/** A VirtualService that sends everything to a service of its own name. */
function rule(name: string, hostList: string, more = "", metadata = ""): string {
  return `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name}${metadata} }
spec: { hosts: ${hostList}, http: [ { name: ${name}, route: [ { destination: { host: reviews } } ] } ]${more} }
---`;
}

/** The name of the route in force for reviews. */
function inForce(rules: string, namespace = "default"): string {
  const services = [service("reviews", { namespace: "default" })];
  const text = rules.replace(/---$/, "");
  return hosts(services, text, { namespace })["reviews.default.svc.cluster.local:9080"].routes[0].name;
}

Deno.test("a service answers to its short names in its own namespace, and to qualified ones elsewhere", () => {
  const services = [service("reviews"), service("reviews", { namespace: "shop" })];
  const seen = hosts(services);
  deepStrictEqual(seen["reviews.default.svc.cluster.local:9080"].domains, [
    "reviews.default.svc.cluster.local",
    "reviews.default.svc.cluster.local:9080",
    "reviews",
    "reviews:9080",
    "reviews.default",
    "reviews.default:9080",
    "reviews.default.svc",
    "reviews.default.svc:9080",
  ]);
  deepStrictEqual(seen["reviews.shop.svc.cluster.local:9080"].domains, [
    "reviews.shop.svc.cluster.local",
    "reviews.shop.svc.cluster.local:9080",
    "reviews.shop",
    "reviews.shop:9080",
    "reviews.shop.svc",
    "reviews.shop.svc:9080",
  ]);
});

Deno.test("names without a port belong to port 80, else to the first HTTP port", () => {
  const mixed = [{ name: "tcp", number: 1, protocol: "TCP" as Protocol }, ...ports(8080, 8081)];
  const first = hosts([service("a", { ports: mixed })]);
  deepStrictEqual(first["a.default.svc.cluster.local:1"].domains.filter((name: string) => !/:1$/.test(name)), []);
  strictEqual(first["a.default.svc.cluster.local:8080"].domains.includes("a"), true);
  deepStrictEqual(first["a.default.svc.cluster.local:8081"].domains.filter((name: string) => !/:8081$/.test(name)), []);
  const web = hosts([service("a", { ports: ports(8080, 80) })]);
  strictEqual(web["a.default.svc.cluster.local:80"].domains.includes("a"), true);
  strictEqual(web["a.default.svc.cluster.local:8080"].domains.includes("a"), false);
});

Deno.test("CONNECT leads to the bytes of every port, and nothing else leads to one that is not HTTP", () => {
  const mixed = [{ name: "tcp", number: 1, protocol: "TCP" as Protocol }, ...ports(80)];
  const seen = hosts([service("a", { ports: mixed }), service("none", { ports: mixed, resolution: "NONE" })]);
  const connect = (port: number) => ({
    name: "connect",
    match: { connectMatcher: {} },
    route: {
      cluster: `outbound|${port}||a.default.svc.cluster.local`,
      timeout: "0s",
      upgradeConfigs: [{ upgradeType: "CONNECT", connectConfig: {} }],
    },
  });
  deepStrictEqual(seen["a.default.svc.cluster.local:1"].routes, [connect(1)]);
  deepStrictEqual(seen["a.default.svc.cluster.local:80"].routes.slice(1), [connect(80)]);
  strictEqual(seen["none.default.svc.cluster.local:1"].routes.length, 1);
  strictEqual(seen["none.default.svc.cluster.local:80"].routes.length, 2);
});

Deno.test("addresses of a service are domains too, ranges are not", () => {
  const external = service("db", {
    hostname: "db.example.com",
    addresses: ["10.1.2.3", "fd00::1", "10.0.0.0/8"],
    ports: ports(80),
  });
  deepStrictEqual(hosts([external])["db.example.com:80"].domains, [
    "db.example.com",
    "db.example.com:80",
    "10.1.2.3",
    "10.1.2.3:80",
    "[fd00::1]",
    "[fd00::1]:80",
  ]);
});

Deno.test("a short name gives way to a host that is called so, and no domain stands twice", () => {
  const services = [service("reviews"), service("named", { hostname: "reviews.default", ports: ports(9080) })];
  const seen = hosts(services);
  deepStrictEqual(seen["reviews.default:9080"].domains, ["reviews.default", "reviews.default:9080"]);
  strictEqual(seen["reviews.default.svc.cluster.local:9080"].domains.includes("reviews.default"), false);
  // deno-lint-ignore no-explicit-any -- JSON of xDS
  const all = Object.values(seen).flatMap(({ domains }: any) => domains);
  strictEqual(new Set(all).size, all.length);
});

Deno.test("hosts that nobody knows go where they say, or nowhere under REGISTRY_ONLY", () => {
  const others = (policy: MeshSettings["outboundTrafficPolicy"]) => {
    const compiled = compileProxy(mesh([], "", { outboundTrafficPolicy: policy }), node());
    const { virtualHosts: [host] } = json(RouteConfigurationSchema, compiled.routes.get("http_proxy"));
    deepStrictEqual([...compiled.clusters.keys()].slice(-2), ["PassthroughCluster", "BlackHoleCluster"]);
    return host;
  };
  const connect = (cluster: string) => ({
    name: "connect",
    match: { connectMatcher: {} },
    route: { cluster, timeout: "0s", upgradeConfigs: [{ upgradeType: "CONNECT", connectConfig: {} }] },
  });
  deepStrictEqual(others("ALLOW_ANY"), {
    name: "allow_any",
    domains: ["*"],
    includeRequestAttemptCount: true,
    routes: [
      { name: "allow_any", match: { prefix: "/" }, route: { cluster: "PassthroughCluster", timeout: "0s" } },
      connect("PassthroughCluster"),
    ],
  });
  deepStrictEqual(others("REGISTRY_ONLY"), {
    name: "block_all",
    domains: ["*"],
    routes: [
      { name: "block_all", match: { prefix: "/" }, directResponse: { status: 502 } },
      connect("BlackHoleCluster"),
    ],
  });
});

Deno.test("a host that only a VirtualService names is a virtual host on port 80", () => {
  const seen = hosts([service("reviews")], rule("edge", "[bookinfo.example]").replace(/---$/, ""));
  deepStrictEqual(seen["bookinfo.example:80"].domains, ["bookinfo.example", "bookinfo.example:80"]);
  strictEqual(
    seen["bookinfo.example:80"].routes[0].route.cluster,
    "outbound|9080||reviews.default.svc.cluster.local",
  );
});

Deno.test("a VirtualService for every host takes the place of that", () => {
  const seen = hosts([], rule("all", '["*"]').replace(/---$/, ""));
  deepStrictEqual(Object.values(seen).map(({ domains }) => domains), [["*", "*:80"]]);
});

Deno.test("of rules for one host the oldest is in force", () => {
  const late = rule("a", "[reviews]", "", ', creationTimestamp: "2026-02-01T00:00:00Z"');
  const early = rule("b", "[reviews]", "", ', creationTimestamp: "2026-01-01T00:00:00Z"');
  strictEqual(inForce(late + early), "b");
  strictEqual(inForce(rule("b", "[reviews]") + rule("a", "[reviews]")), "a");
});

Deno.test("the most specific host is in force before the oldest", () => {
  const rules = rule("all", '["*.default.svc.cluster.local"]') + rule("wide", '["*.local"]') + rule("zz", "[reviews]");
  strictEqual(inForce(rules), "zz");
  strictEqual(inForce(rule("all", '["*.default.svc.cluster.local"]') + rule("a", '["*.local"]')), "all");
});

Deno.test("rules of the client's namespace alone go before those exported to it", () => {
  const local = "reviews.default.svc.cluster.local";
  const rules = rule("open", `[${local}]`) +
    rule("kept", `[${local}]`, ', exportTo: ["."]', ", namespace: shop");
  strictEqual(inForce(rules, "shop"), "kept");
  strictEqual(inForce(rules, "default"), "open");
});

Deno.test("a short host means the rule's own namespace", () => {
  strictEqual(inForce(rule("other", "[reviews]", "", ", namespace: shop")), "default");
});

Deno.test("hosts of rules are compared without regard to case", () => {
  const upper = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: upper }
spec: { hosts: [Reviews], http: [ { name: upper, route: [ { destination: { host: Reviews } } ] } ] }`;
  const [route] = hosts([service("reviews")], upper)["reviews.default.svc.cluster.local:9080"].routes;
  strictEqual(route.name, "upper");
  strictEqual(route.route.cluster, "outbound|9080||reviews.default.svc.cluster.local");
});

Deno.test("a rule for gateways alone does not concern workloads", () => {
  strictEqual(inForce(rule("edge", "[reviews]", ", gateways: [edge]")), "default");
  strictEqual(inForce(rule("both", "[reviews]", ", gateways: [edge, mesh]")), "both");
});

Deno.test("a destination without a port means the service's only port, else the caller's", () => {
  const services = [service("reviews", { port: 7000 }), service("front", { ports: ports(80, 81) })];
  const one = hosts(services, rule("r", "[front]").replace(/---$/, ""));
  strictEqual(
    one["front.default.svc.cluster.local:81"].routes[0].route.cluster,
    "outbound|7000||reviews.default.svc.cluster.local",
  );
  const several = hosts(
    [service("reviews", { ports: ports(80, 81) }), services[1]],
    rule("r", "[front]").replace(/---$/, ""),
  );
  strictEqual(
    several["front.default.svc.cluster.local:81"].routes[0].route.cluster,
    "outbound|81||reviews.default.svc.cluster.local",
  );
});
