import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { parseResources } from "../../istio/parse.ts";
import type { Service } from "../../mesh.ts";
import { ListenerSchema } from "../../xds/gen/envoy/config/listener/v3/listener_pb.ts";
import { RouteConfigurationSchema } from "../../xds/gen/envoy/config/route/v3/route_pb.ts";
import type { WorkloadNode } from "../../xds/node.ts";
import { compileProxy } from "../proxy.ts";
import { bookinfo, json, mesh, node, service } from "../testing/mesh.ts";

// deno-lint-ignore no-explicit-any -- tests reach deep into JSON that xDS defines
type Json = any;

const edge = node({
  type: "router",
  workload: "edge",
  service: "",
  labels: { istio: "ingressgateway" },
  httpProxy: null,
  ports: [],
});

const gatewayYaml = (name: string, servers: string, more = "") => `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: ${name}, namespace: default${more} }
spec: { selector: { istio: ingressgateway }, servers: [${servers}] }
---`;

const ruleYaml = (name: string, spec: string, more = "namespace: default") => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name}, ${more} }
spec: { ${spec} }
---`;

const to = (host: string, port = 9080) => `route: [{ destination: { host: ${host}, port: { number: ${port} } } }]`;
const http = (number: number, hosts = `"*"`, tls = "") =>
  `{ port: { number: ${number}, name: http-${number}-${hosts.length}, protocol: HTTP }, hosts: [${hosts}]${tls} }`;
const https = (hosts: string, tls = "mode: SIMPLE, credentialName: shop", name = "https", protocol = "HTTPS") =>
  `{ port: { number: 443, name: ${name}, protocol: ${protocol} }, hosts: [${hosts}], tls: { ${tls} } }`;

/** What the resources compile to, after the parser has taken every one of them. */
function compile(yaml: string, { services = bookinfo(), of = edge }: { services?: Service[]; of?: WorkloadNode } = {}) {
  const { resources, problems } = parseResources("gateway.yaml", yaml);
  deepStrictEqual(problems.filter(({ severity }) => severity === "error"), []);
  const snapshot = compileProxy(mesh(services, resources), of);
  return {
    snapshot,
    warnings: snapshot.warnings.map(({ kind, name, field, message }) => `${kind}/${name} ${field}: ${message}`),
    listener: (name: string) => json(ListenerSchema, snapshot.listeners.get(name)),
    virtualHosts: (name: string) => json(RouteConfigurationSchema, snapshot.routes.get(name)).virtualHosts,
  };
}

/** `domain: first matching path of each route -> cluster`, in order. */
const table = (hosts: Json[]) =>
  Object.fromEntries(hosts.map((host: Json) => [
    host.domains.join(),
    (host.routes ?? []).map(({ match, route }: Json) => `${match.path ?? match.prefix} ${route.cluster.split("|")[3]}`),
  ]));

const reviews = "reviews.default.svc.cluster.local";
const ratings = "ratings.default.svc.cluster.local";

Deno.test("a gateway has a listener for each port, with istiod's edge settings, and the rules bound to it", () => {
  const { snapshot, listener, virtualHosts, warnings } = compile(
    gatewayYaml("bookinfo-gateway", http(8080)) +
      ruleYaml("bookinfo", `hosts: ["*"], gateways: [bookinfo-gateway], http: [{ ${to("productpage")} }]`),
  );
  deepStrictEqual(warnings, []);
  deepStrictEqual([...snapshot.listeners.keys()], ["127.0.1.1_8080"]);
  const { filterChains: [{ filters: [{ typedConfig }] }] } = listener("127.0.1.1_8080");
  strictEqual(typedConfig.rds.routeConfigName, "http.8080");
  strictEqual(typedConfig.useRemoteAddress, true);
  strictEqual(typedConfig.forwardClientCertDetails, "SANITIZE_SET");
  deepStrictEqual(typedConfig.setCurrentClientCertDetails, { subject: true, cert: true, dns: true, uri: true });
  deepStrictEqual(table(virtualHosts("http.8080")), { "*": ["/ productpage.default.svc.cluster.local"] });
  ok(snapshot.clusters.has("outbound|9080||reviews.default.svc.cluster.local"));
});

Deno.test("only gateways with all labels of the selector serve a Gateway, whatever its namespace", () => {
  const yaml = gatewayYaml("g", http(8080)).replace("namespace: default", "namespace: elsewhere");
  strictEqual(compile(yaml).snapshot.listeners.size, 1);
  strictEqual(compile(yaml, { of: { ...edge, labels: { istio: "egressgateway" } } }).snapshot.listeners.size, 0);
  const unselective = yaml.replace("selector: { istio: ingressgateway }, ", "");
  strictEqual(compile(unselective, { of: { ...edge, labels: {} } }).snapshot.listeners.size, 1);
});

Deno.test("a host has the routes of all its rules, the oldest first, and those for everything last", () => {
  const { virtualHosts } = compile(
    gatewayYaml("g", http(8080)) +
      ruleYaml(
        "newer",
        `hosts: [shop.example], gateways: [g], http: [{ match: [{ uri: { prefix: /a } }], ${to("ratings")} }]`,
        `namespace: default, creationTimestamp: "2026-02-01T00:00:00Z"`,
      ) +
      ruleYaml(
        "older",
        `hosts: [shop.example], gateways: [g], http: [{ match: [{ uri: { prefix: /b } }], ${to("reviews")} }, { ${
          to("details")
        } }]`,
        `namespace: default, creationTimestamp: "2026-01-01T00:00:00Z"`,
      ),
  );
  deepStrictEqual(table(virtualHosts("http.8080")), {
    "shop.example": [`/b ${reviews}`, `/a ${ratings}`, "/ details.default.svc.cluster.local"],
  });
});

Deno.test("a rule is reached under the hosts that it shares with the server, the narrower of each pair", () => {
  const { virtualHosts } = compile(
    gatewayYaml("g", http(8080, `"*.example", exact.test`)) +
      ruleYaml("wide", `hosts: ["*.shop.example", "*.test"], gateways: [g], http: [{ ${to("reviews")} }]`) +
      ruleYaml("none", `hosts: [other.org], gateways: [g], http: [{ ${to("ratings")} }]`),
  );
  deepStrictEqual(table(virtualHosts("http.8080")), {
    "*.shop.example": [`/ ${reviews}`],
    "exact.test": [`/ ${reviews}`],
  });
});

Deno.test("hosts of a server are for VirtualServices of the namespace that stands before them", () => {
  const rules = ["default", "other"].map((namespace) =>
    ruleYaml(
      namespace,
      `hosts: [a.example], gateways: [default/g], http: [{ ${to("reviews.default.svc.cluster.local")} }]`,
      `namespace: ${namespace}`,
    )
  ).join("");
  const count = (host: string) => {
    const { virtualHosts } = compile(gatewayYaml("g", http(8080, `"${host}"`)) + rules);
    return (virtualHosts("http.8080")[0].routes ?? []).length;
  };
  strictEqual(count("a.example"), 2);
  strictEqual(count("*/a.example"), 2);
  strictEqual(count("other/a.example"), 1);
  strictEqual(count("./a.example"), 1);
  strictEqual(count("third/a.example"), 0);
});

Deno.test("a rule is bound by name, by namespace and name, and by its match's own gateways", () => {
  const { virtualHosts } = compile(
    gatewayYaml("g", http(8080)) + gatewayYaml("h", http(8081)) +
      ruleYaml(
        "both",
        `hosts: [a.example], gateways: [default/g, h, mesh], http: [
          { match: [{ uri: { prefix: /g }, gateways: [default/g] }], ${to("reviews")} },
          { match: [{ uri: { prefix: /mesh }, gateways: [mesh] }], ${to("ratings")} },
          { match: [{ uri: { prefix: /port }, port: 8081 }], ${to("ratings")} }]`,
      ),
  );
  deepStrictEqual(table(virtualHosts("http.8080")), { "a.example": [`/g ${reviews}`] });
  deepStrictEqual(table(virtualHosts("http.8081")), { "a.example": [`/port ${ratings}`] });
});

Deno.test("a gateway that no rule is bound to answers 404, and one that redirects sends to https", () => {
  const { virtualHosts } = compile(
    gatewayYaml("g", [http(8080), http(8081, `a.example`, ", tls: { httpsRedirect: true }")].join()),
  );
  deepStrictEqual(virtualHosts("http.8080"), [{ name: "blackhole:8080", domains: ["*"] }]);
  deepStrictEqual(virtualHosts("http.8081"), [
    { name: "a.example:8081", domains: ["a.example"], requireTls: "ALL", includeRequestAttemptCount: true },
  ]);
});

Deno.test("servers of plain HTTP share a port over Gateways; other protocols on it are left out", () => {
  const { snapshot, warnings, virtualHosts } = compile(
    gatewayYaml("a", http(8080, "a.example")) + gatewayYaml("b", http(8080, "b.example").replace("HTTP,", "GRPC,")) +
      gatewayYaml("c", `{ port: { number: 8080, name: tcp, protocol: TCP }, hosts: ["*"] }`) +
      ruleYaml("r", `hosts: ["*"], gateways: [a, b], http: [{ ${to("reviews")} }], tcp: [{ ${to("ratings")} }]`),
  );
  strictEqual(snapshot.listeners.size, 1);
  deepStrictEqual(Object.keys(table(virtualHosts("http.8080"))), ["a.example", "b.example"]);
  deepStrictEqual(warnings, ["Gateway/c servers[0]: port 8080 is HTTP by default/a: it is left out"]);
});

Deno.test("servers with TLS share a port by server name; a name that is taken is left out", () => {
  const { listener, snapshot, warnings } = compile(
    gatewayYaml("a", https("a.example")) +
      gatewayYaml("b", https("b.example, c.example", "mode: MUTUAL, credentialName: b", "https-b")) +
      gatewayYaml("c", https("a.example", "mode: SIMPLE, credentialName: other")),
  );
  deepStrictEqual(warnings, ["Gateway/c servers[0]: port 443 has a server for a.example already: it is left out"]);
  const { filterChains } = listener("127.0.1.1_443");
  deepStrictEqual(filterChains.map(({ filterChainMatch }: Json) => filterChainMatch.serverNames), [
    ["a.example"],
    ["b.example", "c.example"],
  ]);
  deepStrictEqual([...snapshot.routes.keys()], ["https.443.https.a.default", "https.443.https-b.b.default"]);
  const contexts = filterChains.map(
    ({ transportSocket }: Json) => transportSocket.typedConfig,
  );
  strictEqual(contexts[0].commonTlsContext.tlsCertificateSdsSecretConfigs[0].name, "kubernetes://shop");
  strictEqual(contexts[0].requireClientCertificate, false);
  deepStrictEqual(contexts[0].commonTlsContext.alpnProtocols, ["h2", "http/1.1"]);
  strictEqual(contexts[0].commonTlsContext.combinedValidationContext, undefined);
  strictEqual(contexts[1].requireClientCertificate, true);
  strictEqual(
    contexts[1].commonTlsContext.combinedValidationContext.validationContextSdsSecretConfig.name,
    "kubernetes://b-cacert",
  );
});

Deno.test("TLS settings of a server become Envoy's", () => {
  const context = (tls: string) => {
    const { listener } = compile(gatewayYaml("g", https(`"*"`, tls)));
    return listener("127.0.1.1_443").filterChains[0].transportSocket.typedConfig;
  };
  const files = "serverCertificate: /c.pem, privateKey: /k.pem";
  const { commonTlsContext: simple } = context(
    `mode: SIMPLE, ${files}, maxProtocolVersion: TLSV1_2, cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256, no-such]`,
  );
  strictEqual(simple.tlsCertificateSdsSecretConfigs[0].name, "file-cert:/c.pem~/k.pem");
  deepStrictEqual(simple.tlsParams, {
    tlsMinimumProtocolVersion: "TLSv1_2",
    tlsMaximumProtocolVersion: "TLSv1_2",
    cipherSuites: ["ECDHE-RSA-AES128-GCM-SHA256"],
  });
  const optional = context(`mode: OPTIONAL_MUTUAL, ${files}, caCertificates: /ca.pem, subjectAltNames: [client]`);
  strictEqual(optional.requireClientCertificate, false);
  const { combinedValidationContext } = optional.commonTlsContext;
  strictEqual(combinedValidationContext.validationContextSdsSecretConfig.name, "file-root:/ca.pem");
  deepStrictEqual(combinedValidationContext.defaultValidationContext, {
    matchTypedSubjectAltNames: [{ sanType: "DNS", matcher: { exact: "client" } }],
  });
  const istio = context("mode: ISTIO_MUTUAL");
  strictEqual(istio.commonTlsContext.tlsCertificateSdsSecretConfigs[0].name, "default");
  strictEqual(istio.requireClientCertificate, true);
});

Deno.test("TCP servers go where the first TCP route for port and gateway says, by weight", () => {
  const { listener, snapshot } = compile(
    gatewayYaml("g", `{ port: { number: 3306, name: tcp, protocol: TCP }, hosts: ["*"] }`) +
      gatewayYaml("unbound", `{ port: { number: 3307, name: tcp, protocol: TCP }, hosts: ["*"] }`) +
      ruleYaml(
        "r",
        `hosts: ["*"], gateways: [g], tcp: [
          { match: [{ port: 1 }], ${to("details")} },
          { match: [{ port: 3306 }], route: [
            { destination: { host: reviews }, weight: 80 }, { destination: { host: ratings }, weight: 20 }] }]`,
      ),
  );
  const { filters: [{ typedConfig }] } = listener("127.0.1.1_3306").filterChains[0];
  deepStrictEqual(typedConfig.weightedClusters.clusters, [
    { name: `outbound|9080||${reviews}`, weight: 80 },
    { name: `outbound|9080||${ratings}`, weight: 20 },
  ]);
  strictEqual(snapshot.listeners.size, 1);
});

Deno.test("TLS that passes through goes where TLS routes say, and a server name only where it is first", () => {
  const { listener, warnings } = compile(
    gatewayYaml("g", https(`"*.example"`, "mode: PASSTHROUGH", "tls", "TLS")) +
      ruleYaml(
        "r",
        `hosts: [a.example, b.example], gateways: [g], tls: [
          { match: [{ sniHosts: [a.example] }], ${to("reviews")} },
          { match: [{ sniHosts: [b.example], port: 443 }], ${to("ratings")} },
          { match: [{ sniHosts: [a.example] }], ${to("details")} }]`,
      ),
  );
  const chains = listener("127.0.1.1_443").filterChains;
  deepStrictEqual(
    chains.map((chain: Json) => [
      chain.filterChainMatch.serverNames.join(),
      chain.filters[0].typedConfig.cluster,
      chain.transportSocket,
    ]),
    [
      ["a.example", `outbound|9080||${reviews}`, undefined],
      ["b.example", `outbound|9080||${ratings}`, undefined],
    ],
  );
  strictEqual(warnings.length, 1);
  ok(warnings[0].startsWith("VirtualService/r tls[2].match[0].sniHosts: a.example"), warnings[0]);
});

Deno.test("TLS that ends at the gateway before TCP goes where TCP routes say", () => {
  const { listener } = compile(
    gatewayYaml("g", https("db.example", "mode: SIMPLE, credentialName: db", "tls", "TLS")) +
      ruleYaml("r", `hosts: [db.example], gateways: [g], tcp: [{ ${to("db", 5432)} }]`),
    { services: [service("db", { ports: [{ name: "tcp", number: 5432, protocol: "TCP" }] })] },
  );
  const [chain] = listener("127.0.1.1_443").filterChains;
  strictEqual(chain.filters[0].typedConfig.cluster, "outbound|5432||db.default.svc.cluster.local");
  ok(chain.transportSocket.typedConfig.commonTlsContext.alpnProtocols === undefined);
});

Deno.test("servers with an address of their own listen there, beside others of the same port", () => {
  const { snapshot } = compile(
    gatewayYaml("g", http(8080)) + gatewayYaml("h", http(8080, `"*"`, ", bind: 127.0.9.9")),
  );
  deepStrictEqual([...snapshot.listeners.keys()], ["127.0.1.1_8080", "127.0.9.9_8080"]);
  deepStrictEqual([...snapshot.routes.keys()], ["http.8080", "http.8080.127.0.9.9"]);
});
