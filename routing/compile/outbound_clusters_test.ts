import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { Protocol, Service } from "../mesh.ts";
import { ClusterSchema } from "../xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { compileProxy } from "./proxy.ts";
import { bookinfo, endpoint, json, mesh, node, service } from "./testing/mesh.ts";

const host = "reviews.default.svc.cluster.local";

/** A DestinationRule for reviews with this traffic policy and these subsets, both as YAML flow. */
function rule(trafficPolicy: string, subsets = "[]"): string {
  return `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec: { host: reviews, trafficPolicy: ${trafficPolicy}, subsets: ${subsets} }
`;
}

function cluster(rules: string, name = `outbound|9080||${host}`, services: Service[] = bookinfo()) {
  return json(ClusterSchema, compileProxy(mesh(services, rules), node()).clusters.get(name));
}

/** The UpstreamTlsContext that endpoints with tlsMode `istio` get. */
function mutualTls(compiled: ReturnType<typeof cluster>) {
  strictEqual(compiled.transportSocketMatches[0].name, "tlsMode-istio");
  return compiled.transportSocketMatches[0].transportSocket.typedConfig;
}

Deno.test("a service without rules gets Istio's defaults", () => {
  const compiled = cluster("");
  strictEqual(compiled.type, "EDS");
  deepStrictEqual(compiled.edsClusterConfig, {
    serviceName: `outbound|9080||${host}`,
    edsConfig: { ads: {}, initialFetchTimeout: "0s", resourceApiVersion: "V3" },
  });
  strictEqual(compiled.connectTimeout, "10s");
  strictEqual(compiled.lbPolicy, "LEAST_REQUEST");
  const noLimit = 4294967295;
  deepStrictEqual(compiled.circuitBreakers.thresholds, [
    { maxConnections: noLimit, maxPendingRequests: noLimit, maxRequests: noLimit, maxRetries: noLimit },
  ]);
  strictEqual(compiled.typedExtensionProtocolOptions, undefined);
  strictEqual(compiled.outlierDetection, undefined);
  deepStrictEqual(compiled.commonLbConfig, { healthyPanicThreshold: {} });
  deepStrictEqual(compiled.metadata.filterMetadata.istio, {
    services: [{ host, name: "reviews", namespace: "default" }],
    default_original_port: 9080,
  });
});

Deno.test("each subset is a cluster of its own with its own server name", () => {
  const rules = rule(
    "{ loadBalancer: { simple: RANDOM } }",
    "[ { name: v1, labels: { version: v1 } }, { name: v2, trafficPolicy: { loadBalancer: { simple: ROUND_ROBIN } } } ]",
  );
  strictEqual(cluster(rules).lbPolicy, "RANDOM");
  strictEqual(cluster(rules, `outbound|9080|v1|${host}`).lbPolicy, "RANDOM");
  // ROUND_ROBIN is the enumeration's zero, so JSON leaves it out.
  strictEqual(cluster(rules, `outbound|9080|v2|${host}`).lbPolicy, undefined);
  const v1 = cluster(rules, `outbound|9080|v1|${host}`);
  strictEqual(mutualTls(v1).sni, `outbound_.9080_.v1_.${host}`);
  deepStrictEqual(v1.metadata.filterMetadata.istio, {
    services: [{ host, name: "reviews", namespace: "default" }],
    default_original_port: 9080,
    subset: "v1",
    config: "/apis/networking.istio.io/v1/namespaces/default/destination-rule/reviews",
  });
});

Deno.test("connection pool settings become thresholds, timeouts and protocol options", () => {
  const compiled = cluster(rule(`{ connectionPool: {
    tcp: { maxConnections: 10, connectTimeout: 1500ms, tcpKeepalive: { probes: 3, time: 2m, interval: 10s } },
    http: { http1MaxPendingRequests: 5, http2MaxRequests: 7, maxRetries: 2, maxRequestsPerConnection: 100, idleTimeout: 30s }
  } }`));
  strictEqual(compiled.connectTimeout, "1.500s");
  deepStrictEqual(compiled.circuitBreakers.thresholds, [
    { maxConnections: 10, maxPendingRequests: 5, maxRequests: 7, maxRetries: 2 },
  ]);
  deepStrictEqual(compiled.upstreamConnectionOptions, {
    tcpKeepalive: { keepaliveProbes: 3, keepaliveTime: 120, keepaliveInterval: 10 },
  });
  deepStrictEqual(compiled.typedExtensionProtocolOptions, {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
      "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
      commonHttpProtocolOptions: { idleTimeout: "30s", maxRequestsPerConnection: 100 },
      explicitHttpConfig: { httpProtocolOptions: {} },
    },
  });
});

Deno.test("the idle timeout of TCP holds where HTTP names none", () => {
  const options = cluster(rule("{ connectionPool: { tcp: { idleTimeout: 5s } } }"))
    .typedExtensionProtocolOptions["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"];
  deepStrictEqual(options.commonHttpProtocolOptions, { idleTimeout: "5s" });
});

Deno.test("outlier detection carries what is set and switches success rates off", () => {
  const cases: [string, Record<string, unknown>][] = [
    ["{}", { enforcingSuccessRate: 0 }],
    ["{ consecutive5xxErrors: 3, interval: 1s, baseEjectionTime: 5s, maxEjectionPercent: 100 }", {
      consecutive5xx: 3,
      interval: "1s",
      baseEjectionTime: "5s",
      maxEjectionPercent: 100,
      enforcingConsecutive5xx: 100,
      enforcingSuccessRate: 0,
    }],
    ["{ consecutive5xxErrors: 0, consecutiveGatewayErrors: 2 }", {
      consecutive5xx: 0,
      enforcingConsecutive5xx: 0,
      enforcingSuccessRate: 0,
      consecutiveGatewayFailure: 2,
      enforcingConsecutiveGatewayFailure: 100,
    }],
    ["{ consecutiveLocalOriginFailures: 4 }", { enforcingSuccessRate: 0 }],
    ["{ splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 4 }", {
      enforcingSuccessRate: 0,
      splitExternalLocalOriginErrors: true,
      consecutiveLocalOriginFailure: 4,
      enforcingConsecutiveLocalOriginFailure: 100,
      enforcingLocalOriginSuccessRate: 0,
    }],
  ];
  for (const [settings, expected] of cases) {
    deepStrictEqual(cluster(rule(`{ outlierDetection: ${settings} }`)).outlierDetection, expected, settings);
  }
});

Deno.test("minHealthPercent is the panic threshold", () => {
  deepStrictEqual(cluster(rule("{ outlierDetection: { minHealthPercent: 30 } }")).commonLbConfig, {
    healthyPanicThreshold: { value: 30 },
  });
});

Deno.test("mutual TLS asks for the service's identities and nothing below TLS 1.3", () => {
  const reviews = service("reviews", {
    subjectAltNames: ["spiffe://cluster.local/ns/extra/sa/x"],
    endpoints: [endpoint("reviews-v1"), endpoint("reviews-v2"), endpoint("reviews-v3", { serviceAccount: "other" })],
  });
  const compiled = cluster("", `outbound|9080||${host}`, [reviews]);
  const tls = mutualTls(compiled);
  strictEqual(tls.sni, `outbound_.9080_._.${host}`);
  deepStrictEqual(tls.commonTlsContext.tlsParams, {
    tlsMinimumProtocolVersion: "TLSv1_3",
    tlsMaximumProtocolVersion: "TLSv1_3",
  });
  deepStrictEqual(tls.commonTlsContext.alpnProtocols, ["h2", "istio-http/1.1", "istio", "http/1.1"]);
  strictEqual(tls.commonTlsContext.tlsCertificateSdsSecretConfigs[0].name, "default");
  const validation = tls.commonTlsContext.combinedValidationContext;
  strictEqual(validation.validationContextSdsSecretConfig.name, "ROOTCA");
  deepStrictEqual(
    validation.defaultValidationContext.matchTypedSubjectAltNames,
    [
      "spiffe://cluster.local/ns/default/sa/bookinfo-reviews",
      "spiffe://cluster.local/ns/default/sa/other",
      "spiffe://cluster.local/ns/extra/sa/x",
    ].map((exact) => ({ sanType: "URI", matcher: { exact } })),
  );
  strictEqual(compiled.transportSocketMatches[1].name, "tlsMode-disabled");
  deepStrictEqual(compiled.transportSocketMatches[1].match, {});
});

Deno.test("a rule's TLS mode replaces automatic mutual TLS", () => {
  const disabled = cluster(rule("{ tls: { mode: DISABLE } }"));
  strictEqual(disabled.transportSocketMatches, undefined);
  strictEqual(disabled.transportSocket, undefined);
  const always = cluster(rule("{ tls: { mode: ISTIO_MUTUAL, sni: named, subjectAltNames: [spiffe://x/y] } }"));
  strictEqual(always.transportSocketMatches, undefined);
  strictEqual(always.transportSocket.typedConfig.sni, "named");
  deepStrictEqual(
    always.transportSocket.typedConfig.commonTlsContext.combinedValidationContext.defaultValidationContext,
    { matchTypedSubjectAltNames: [{ sanType: "URI", matcher: { exact: "spiffe://x/y" } }] },
  );
});

Deno.test("TLS of a rule: certificates by Istio's names of secrets, this machine's trust where no bundle is named", () => {
  const context = (tls: string) => cluster(rule(`{ tls: ${tls} }`)).transportSocket.typedConfig;
  const validation = (tls: string) => context(tls).commonTlsContext.combinedValidationContext;
  const secret = ({ name }: { name: string }) => name;
  const simple = context("{ mode: SIMPLE, sni: api.example.com }");
  strictEqual(simple.sni, "api.example.com");
  strictEqual(simple.commonTlsContext.tlsCertificateSdsSecretConfigs, undefined);
  strictEqual(
    secret(validation("{ mode: SIMPLE }").validationContextSdsSecretConfig),
    "file-root:system",
  );
  const mutual =
    "mode: MUTUAL, clientCertificate: /c.pem, privateKey: /k.pem, caCertificates: /ca.pem, caCrl: /crl.pem";
  deepStrictEqual(context(`{ ${mutual} }`).commonTlsContext.tlsCertificateSdsSecretConfigs.map(secret), [
    "file-cert:/c.pem~/k.pem",
  ]);
  const named = validation(`{ ${mutual}, subjectAltNames: [a.example, "spiffe://x/y", 192.0.2.1] }`);
  strictEqual(secret(named.validationContextSdsSecretConfig), "file-root:/ca.pem");
  deepStrictEqual(named.defaultValidationContext, {
    crl: { filename: "/crl.pem" },
    matchTypedSubjectAltNames: [
      { sanType: "DNS", matcher: { exact: "a.example" } },
      { sanType: "URI", matcher: { exact: "spiffe://x/y" } },
      { sanType: "IP_ADDRESS", matcher: { exact: "192.0.2.1" } },
    ],
  });
  const credential = context("{ mode: MUTUAL, credentialName: api }").commonTlsContext;
  deepStrictEqual(credential.tlsCertificateSdsSecretConfigs.map(secret), ["kubernetes://api"]);
  strictEqual(secret(credential.combinedValidationContext.validationContextSdsSecretConfig), "kubernetes://api-cacert");
  strictEqual(validation("{ mode: SIMPLE, insecureSkipVerify: true }"), undefined);
});

Deno.test("TLS of a rule: what it leaves open follows from the host of each request", () => {
  const names = (tls: string) =>
    cluster(rule(`{ tls: ${tls} }`))
      .typedExtensionProtocolOptions?.["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]
      .upstreamHttpProtocolOptions;
  deepStrictEqual(names("{ mode: SIMPLE }"), { autoSni: true, autoSanValidation: true });
  deepStrictEqual(names("{ mode: SIMPLE, subjectAltNames: [a.example] }"), { autoSni: true });
  deepStrictEqual(names("{ mode: SIMPLE, sni: a.example }"), { autoSanValidation: true });
  deepStrictEqual(names("{ mode: SIMPLE, insecureSkipVerify: true }"), { autoSni: true });
  strictEqual(names("{ mode: SIMPLE, sni: a.example, subjectAltNames: [a.example] }"), undefined);
  strictEqual(names("{ mode: ISTIO_MUTUAL }"), undefined);
});

Deno.test("external services are reached without mesh TLS", () => {
  const external = service("api.example.com", { hostname: "api.example.com", location: "MESH_EXTERNAL" });
  const compiled = cluster("", "outbound|9080||api.example.com", [external]);
  strictEqual(compiled.transportSocketMatches, undefined);
});

Deno.test("gRPC and HTTP/2 ports speak HTTP/2 from the first byte", () => {
  const grpc = service("reviews", { ports: [{ name: "grpc", number: 9080, protocol: "GRPC" as Protocol }] });
  const compiled = cluster("", `outbound|9080||${host}`, [grpc]);
  const options = compiled.typedExtensionProtocolOptions["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"];
  deepStrictEqual(options.explicitHttpConfig, { http2ProtocolOptions: { maxConcurrentStreams: 1073741824 } });
  deepStrictEqual(mutualTls(compiled).commonTlsContext.alpnProtocols, ["istio-h2", "istio", "h2"]);
});

Deno.test("only services exported to the client's namespace are there", () => {
  const services = [
    service("open"),
    service("kept", { exportTo: ["."] }),
    service("lent", { namespace: "shop", exportTo: ["default"] }),
    service("hidden", { namespace: "shop", exportTo: ["."] }),
  ];
  deepStrictEqual(compileProxy(mesh(services), node()).endpoints, [
    "outbound|9080||kept.default.svc.cluster.local",
    "outbound|9080||lent.shop.svc.cluster.local",
    "outbound|9080||open.default.svc.cluster.local",
  ]);
});
