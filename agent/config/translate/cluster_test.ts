import assert from "node:assert/strict";
import type { JsonObject } from "@bufbuild/protobuf";
import { ClusterSchema } from "../../../routing/xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { translateCluster } from "./cluster.ts";
import { fromFile, message, refusedAt } from "./testdata/envoy_json.ts";

Deno.test("translates a cluster with all that is implemented", () => {
  const { cluster, ...rest } = translateCluster(fromFile(ClusterSchema, "cluster.json"));
  assert.deepEqual(rest, { edsName: "reviews-v1", endpoints: null, dns: null, secrets: [] });
  assert.deepEqual(cluster, {
    name: "outbound|9080|v1|reviews.default.svc.cluster.local",
    type: "eds",
    lbPolicy: "LEAST_REQUEST",
    connectTimeout: 2000,
    transportSocketMatches: [
      {
        match: { tlsMode: "istio" },
        tls: {
          certificate: "default",
          trustBundle: "ROOTCA",
          sni: "outbound_.9080_.v1_.reviews.default.svc.cluster.local",
          subjectAltNames: ["spiffe://cluster.local/ns/default/sa/reviews"],
          alpn: ["istio-http/1.1", "istio", "http/1.1"],
          minimumVersion: "1.2",
          maximumVersion: "1.3",
          sessionResumption: true,
        },
      },
      { match: {}, tls: null },
    ],
    tls: null,
    circuitBreakers: { maxConnections: 10, maxPendingRequests: 20, maxRequests: 30, maxRetries: 40 },
    maxRequestsPerConnection: 100,
    idleTimeout: 30_000,
    tcpKeepalive: { probes: 3, time: 60_000, interval: 75_000 },
    outlierDetection: {
      consecutive5xx: 3,
      consecutiveGatewayFailure: 2,
      splitExternalLocalOriginErrors: false,
      consecutiveLocalOriginFailure: 5,
      interval: 1000,
      baseEjectionTime: 2000,
      maxEjectionTime: 60_000,
      maxEjectionPercent: 100,
    },
    service: { host: "reviews.default.svc.cluster.local", name: "reviews", namespace: "default" },
    panicThreshold: 25,
  });
});

Deno.test("fills in Envoy's defaults of a cluster", () => {
  const { cluster, endpoints, edsName } = translateCluster(message(ClusterSchema, { name: "c" }));
  assert.deepEqual(cluster, {
    name: "c",
    type: "static",
    lbPolicy: "ROUND_ROBIN",
    connectTimeout: 5000,
    transportSocketMatches: [],
    tls: null,
    circuitBreakers: { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3 },
    maxRequestsPerConnection: 0,
    idleTimeout: 3_600_000,
    tcpKeepalive: null,
    outlierDetection: null,
    service: { host: "", name: "", namespace: "" },
  });
  assert.equal(edsName, null);
  assert.deepEqual(endpoints, { cluster: "c", localities: [], panicThreshold: 50 });
});

Deno.test("fills in Envoy's defaults of outlier detection", () => {
  const detection = (fields: JsonObject) =>
    translateCluster(message(ClusterSchema, { name: "c", outlierDetection: { enforcingSuccessRate: 0, ...fields } }))
      .cluster.outlierDetection!;
  assert.deepEqual(detection({}), {
    consecutive5xx: 5,
    consecutiveGatewayFailure: 0,
    splitExternalLocalOriginErrors: false,
    consecutiveLocalOriginFailure: 5,
    interval: 10_000,
    baseEjectionTime: 30_000,
    maxEjectionTime: 300_000,
    maxEjectionPercent: 10,
  });
  assert.equal(detection({ baseEjectionTime: "400s" }).maxEjectionTime, 400_000);
  assert.equal(detection({ consecutive5xx: 7, enforcingConsecutive5xx: 0 }).consecutive5xx, 0);
  assert.equal(detection({ enforcingConsecutiveGatewayFailure: 100 }).consecutiveGatewayFailure, 5);
});

Deno.test("translates the detectors of success rate and failure percentage, the first on by default", () => {
  const detection = (fields: JsonObject) =>
    translateCluster(message(ClusterSchema, { name: "c", outlierDetection: fields })).cluster.outlierDetection!;
  const successRate = {
    minimumHosts: 5,
    requestVolume: 100,
    stdevFactor: 1900,
    enforcing: 100,
    enforcingLocalOrigin: 0,
  };
  assert.deepEqual(detection({}).successRate, successRate);
  assert.deepEqual(detection({ splitExternalLocalOriginErrors: true }).successRate, {
    ...successRate,
    enforcingLocalOrigin: 100,
  });
  const all = detection({
    enforcingSuccessRate: 0,
    enforcingConsecutive5xx: 50,
    enforcingFailurePercentage: 70,
    failurePercentageThreshold: 60,
    maxEjectionTimeJitter: "2s",
    alwaysEjectOneHost: false,
  });
  assert.equal(all.successRate, undefined);
  assert.deepEqual(all.failurePercentage, {
    minimumHosts: 5,
    requestVolume: 50,
    threshold: 60,
    enforcing: 70,
    enforcingLocalOrigin: 0,
  });
  assert.deepEqual([all.enforcingConsecutive5xx, all.maxEjectionTimeJitter, all.alwaysEjectOneHost], [50, 2000, false]);
});

Deno.test("gives the endpoints that stand in a static cluster, with its panic threshold", () => {
  const { endpoints } = translateCluster(message(ClusterSchema, {
    name: "c",
    commonLbConfig: { healthyPanicThreshold: { value: 10 } },
    loadAssignment: {
      clusterName: "other",
      endpoints: [{
        lbEndpoints: [{ endpoint: { address: { socketAddress: { address: "127.0.0.1", portValue: 9 } } } }],
      }],
    },
  }));
  assert.equal(endpoints?.cluster, "c");
  assert.equal(endpoints?.panicThreshold, 10);
  assert.deepEqual(endpoints?.localities[0].endpoints.map(({ address, port }) => [address, port]), [["127.0.0.1", 9]]);
});

Deno.test("fills in Envoy's defaults of consistent hashing", () => {
  const ring = translateCluster(message(ClusterSchema, { name: "c", lbPolicy: "RING_HASH" })).cluster;
  assert.deepEqual(ring.ringHash, { minimumSize: 1024, maximumSize: 8 * 1024 * 1024, hashFunction: "XX_HASH" });
  const maglev = translateCluster(message(ClusterSchema, { name: "c", lbPolicy: "MAGLEV" })).cluster;
  assert.equal(maglev.maglevTableSize, 65537);
});

Deno.test("translates least request and slow start, with Envoy's defaults", () => {
  const translated = (json: JsonObject) => {
    const { leastRequest, slowStart } = translateCluster(message(ClusterSchema, { name: "c", ...json })).cluster;
    return { leastRequest, slowStart };
  };
  assert.deepEqual(
    translated({
      lbPolicy: "LEAST_REQUEST",
      leastRequestLbConfig: {
        choiceCount: 5,
        activeRequestBias: { defaultValue: 0.5, runtimeKey: "k" },
        slowStartConfig: { slowStartWindow: "60s", aggression: { defaultValue: 2, runtimeKey: "k" } },
      },
    }),
    {
      leastRequest: { choiceCount: 5, activeRequestBias: 0.5 },
      slowStart: { window: 60_000, aggression: 2, minimumWeightPercent: 10 },
    },
  );
  const roundRobin = {
    roundRobinLbConfig: { slowStartConfig: { slowStartWindow: "5s", minWeightPercent: { value: 1 } } },
  };
  assert.deepEqual(translated(roundRobin).slowStart, { window: 5000, aggression: 1, minimumWeightPercent: 1 });
});

Deno.test("takes locality weights into account where the cluster says so", () => {
  const { cluster } = translateCluster(message(ClusterSchema, {
    name: "c",
    commonLbConfig: { localityWeightedLbConfig: {} },
  }));
  assert.equal(cluster.localityWeighted, true);
});

const options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
const optionsType = `type.googleapis.com/${options}`;
const refusals: [string, JsonObject, string][] = [
  ["a cluster that dials what the caller dialled", { type: "ORIGINAL_DST" }, "type"],
  ["a logical name of two hosts", {
    type: "LOGICAL_DNS",
    loadAssignment: { clusterName: "c", endpoints: [{ lbEndpoints: [named("a.example"), named("b.example")] }] },
  }, "load_assignment.endpoints"],
  ["a name that is none", {
    type: "STRICT_DNS",
    loadAssignment: { clusterName: "c", endpoints: [{ lbEndpoints: [named("no name")] }] },
  }, "load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address"],
  ["a name without DNS", {
    loadAssignment: { clusterName: "c", endpoints: [{ lbEndpoints: [named("a.example")] }] },
  }, "load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address"],
  ["a choice of the cluster's own", { lbPolicy: "CLUSTER_PROVIDED" }, "lb_policy"],
  [
    "a table of no prime size",
    { lbPolicy: "MAGLEV", maglevLbConfig: { tableSize: "65536" } },
    "maglev_lb_config.table_size",
  ],
  [
    "a ring smaller than its least size",
    { lbPolicy: "RING_HASH", ringHashLbConfig: { maximumRingSize: "10" } },
    "ring_hash_lb_config.minimum_ring_size",
  ],
  [
    "a choice of one",
    { lbPolicy: "LEAST_REQUEST", leastRequestLbConfig: { choiceCount: 1 } },
    "least_request_lb_config.choice_count",
  ],
  ["EDS without a source", { type: "EDS" }, "eds_cluster_config.eds_config"],
  ["health checks without an interval", { healthChecks: [{}] }, "health_checks[0].interval"],
  ["no time to connect", { connectTimeout: "0s" }, "connect_timeout"],
  [
    "more than everything",
    { outlierDetection: { enforcingConsecutive5xx: 150 } },
    "outlier_detection.enforcing_consecutive_5xx",
  ],
  [
    "a protocol that ALPN decides",
    {
      typedExtensionProtocolOptions: {
        [options]: { "@type": optionsType, autoConfig: {} },
      },
    },
    `typed_extension_protocol_options["${options}"].auto_config`,
  ],
  [
    "options of another extension",
    { typedExtensionProtocolOptions: { x: { "@type": optionsType } } },
    'typed_extension_protocol_options["x"]',
  ],
  [
    "labels that are not text",
    { transportSocketMatches: [{ name: "m", match: { a: 1 } }] },
    'transport_socket_matches[0].match["a"]',
  ],
  [
    "zone aware load balancing",
    { commonLbConfig: { zoneAwareLbConfig: {} } },
    "common_lb_config.zone_aware_lb_config",
  ],
];
for (const [what, fields, path] of refusals) {
  Deno.test(`refuses ${what}, by its path`, () => {
    assert.equal(
      refusedAt(() => translateCluster(message(ClusterSchema, { name: "c", ...fields }))),
      `cluster c: ${path}`,
    );
  });
}

Deno.test("takes HTTP/2 towards the hosts, with its limit on streams", () => {
  const http2 = (http2ProtocolOptions: JsonObject) =>
    translateCluster(message(ClusterSchema, {
      name: "c",
      typedExtensionProtocolOptions: {
        [options]: { "@type": optionsType, explicitHttpConfig: { http2ProtocolOptions } },
      },
    })).cluster.http2;
  assert.deepEqual(http2({}), { maxConcurrentStreams: 2147483647 });
  assert.deepEqual(http2({ maxConcurrentStreams: 7 }), { maxConcurrentStreams: 7 });
  assert.deepEqual(http2({ maxConcurrentStreams: 7, connectionKeepalive: { interval: "30s", timeout: "5s" } }), {
    maxConcurrentStreams: 7,
    keepalive: { interval: 30_000, timeout: 5000, jitterPercent: 15 },
  });
  assert.equal(translateCluster(message(ClusterSchema, { name: "c" })).cluster.http2, undefined);
});

Deno.test("takes the caller's protocol, and the age that connections may have", () => {
  const { http2, usesDownstreamProtocol, maxConnectionDuration } = translateCluster(message(ClusterSchema, {
    name: "c",
    typedExtensionProtocolOptions: {
      [options]: {
        "@type": optionsType,
        useDownstreamProtocolConfig: { httpProtocolOptions: {}, http2ProtocolOptions: { maxConcurrentStreams: 7 } },
        commonHttpProtocolOptions: { maxConnectionDuration: "60s" },
      },
    },
  })).cluster;
  assert.deepEqual({ http2, usesDownstreamProtocol, maxConnectionDuration }, {
    http2: { maxConcurrentStreams: 7 },
    usesDownstreamProtocol: true,
    maxConnectionDuration: 60_000,
  });
});

Deno.test("translates TLS towards servers outside the mesh: DNS names, this machine's trust, versions, sessions", () => {
  const { cluster } = translateCluster(message(ClusterSchema, {
    name: "c",
    transportSocket: upstreamTlsSocket({ sanType: "DNS", matcher: { exact: "api.example.com" } }),
  }));
  assert.deepEqual(cluster.tls, {
    certificate: "",
    trustBundle: "file-root:system",
    subjectAltNames: ["api.example.com"],
    alpn: ["http/1.1"],
    minimumVersion: "1.2",
    maximumVersion: "1.2",
    sni: "api.example.com",
    sessionResumption: false,
  });
});

Deno.test("refuses a URI as a DNS name and a DNS name as a URI", () => {
  const refused = (san: JsonObject) =>
    refusedAt(() => translateCluster(message(ClusterSchema, { name: "c", transportSocket: upstreamTlsSocket(san) })));
  for (
    const san of [{ sanType: "DNS", matcher: { exact: "spiffe://a" } }, { sanType: "URI", matcher: { exact: "a" } }]
  ) {
    assert.match(refused(san), /match_typed_subject_alt_names\[0\]\.matcher\.exact$/);
  }
  assert.match(refused({ sanType: "OTHER_NAME", matcher: { exact: "a" } }), /san_type$/);
});

function upstreamTlsSocket(subjectAltName: JsonObject): JsonObject {
  return {
    name: "tls",
    typedConfig: {
      "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
      sni: "api.example.com",
      maxSessionKeys: 0,
      commonTlsContext: {
        alpnProtocols: ["http/1.1"],
        tlsParams: { tlsMaximumProtocolVersion: "TLSv1_2" },
        combinedValidationContext: {
          defaultValidationContext: { matchTypedSubjectAltNames: [subjectAltName] },
          validationContextSdsSecretConfig: { name: "file-root:system", sdsConfig: { ads: {} } },
        },
      },
    },
  };
}

Deno.test("takes names with how they are resolved, by Envoy's defaults", () => {
  const of = (fields: JsonObject) =>
    translateCluster(message(ClusterSchema, {
      name: "c",
      loadAssignment: { clusterName: "c", endpoints: [{ lbEndpoints: [named("a.example")] }] },
      ...fields,
    }));
  const { cluster: { type }, edsName, endpoints, dns } = of({ type: "STRICT_DNS" });
  assert.deepEqual([type, edsName], ["dns", null]);
  assert.deepEqual(endpoints?.localities[0].endpoints.map(({ address, port }) => [address, port]), [["a.example", 80]]);
  assert.deepEqual(dns, {
    logical: false,
    lookupFamily: "AUTO",
    refreshRate: 5000,
    respectTtl: false,
    failureRefresh: { base: 5000, maximum: 5000 },
  });
  const told = of({
    type: "LOGICAL_DNS",
    dnsRefreshRate: "60s",
    respectDnsTtl: true,
    dnsLookupFamily: "V4_PREFERRED",
    dnsFailureRefreshRate: { baseInterval: "1s", maxInterval: "30s" },
  });
  assert.deepEqual(told.dns, {
    logical: true,
    lookupFamily: "V4_PREFERRED",
    refreshRate: 60_000,
    respectTtl: true,
    failureRefresh: { base: 1000, maximum: 30_000 },
  });
});

function named(address: string): JsonObject {
  return { endpoint: { address: { socketAddress: { address, portValue: 80 } } } };
}

function withErrorMatcher(errorMatcher: JsonObject): JsonObject {
  const type = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
  return {
    name: "c",
    outlierDetection: {},
    typedExtensionProtocolOptions: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": type,
        explicitHttpConfig: { httpProtocolOptions: {} },
        outlierDetection: { errorMatcher },
      },
    },
  };
}

const status = (...headers: JsonObject[]): JsonObject => ({
  httpResponseHeadersMatch: { headers: headers.map((header) => ({ name: ":status", ...header })) },
});

Deno.test("which statuses are errors is asked of the matcher for each", () => {
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
  const cases: [JsonObject, number[]][] = [
    [status({ stringMatch: { exact: "404" } }), [404]],
    [status({ stringMatch: { safeRegex: { regex: "404|5.." } } }), [404, ...range(500, 600)]],
    [status({ stringMatch: { prefix: "5" } }, { stringMatch: { suffix: "3" }, invertMatch: true }), [
      ...range(500, 600).filter((code) => code % 10 !== 3),
    ]],
    [{ notMatch: status({ stringMatch: { prefix: "2" } }) }, [...range(100, 200), ...range(300, 600)]],
    [{ orMatch: { rules: [status({ exactMatch: "418" }), status({ exactMatch: "404" })] } }, [404, 418]],
    [{ andMatch: { rules: [{ anyMatch: true }, status({ exactMatch: "404" })] } }, [404]],
  ];
  for (const [matcher, expected] of cases) {
    const { cluster } = translateCluster(message(ClusterSchema, withErrorMatcher(matcher)));
    assert.deepEqual(cluster.outlierDetection?.errorStatuses, expected, JSON.stringify(matcher));
  }
  const onAnother = withErrorMatcher({ httpResponseHeadersMatch: { headers: [{ name: "x-a", exactMatch: "1" }] } });
  const refused = refusedAt(() => translateCluster(message(ClusterSchema, onAnother)));
  assert.match(refused, /error_matcher\.http_response_headers_match\.headers\[0\]\.name$/);
});

Deno.test("a retry budget has Envoy's defaults", () => {
  const budgetOf = (retryBudget: JsonObject) =>
    translateCluster(message(ClusterSchema, { name: "c", circuitBreakers: { thresholds: [{ retryBudget }] } })).cluster
      .circuitBreakers.retryBudget;
  assert.deepEqual(budgetOf({}), { percent: 20, minimumConcurrency: 3 });
  assert.deepEqual(budgetOf({ budgetPercent: { value: 7.5 }, minRetryConcurrency: 0 }), {
    percent: 7.5,
    minimumConcurrency: 0,
  });
});

Deno.test("a bound on the load of hosts is for hashing policies, and at least the average", () => {
  const factorOf = (lbPolicy: string, hashBalanceFactor: number) => () =>
    translateCluster(message(ClusterSchema, {
      name: "c",
      lbPolicy,
      commonLbConfig: { consistentHashingLbConfig: { hashBalanceFactor } },
    })).cluster.hashBalanceFactor;
  assert.deepEqual([factorOf("RING_HASH", 150)(), factorOf("MAGLEV", 100)(), factorOf("RANDOM", 150)()], [
    150,
    100,
    undefined,
  ]);
  assert.match(refusedAt(factorOf("MAGLEV", 99)), /consistent_hashing_lb_config\.hash_balance_factor$/);
});
