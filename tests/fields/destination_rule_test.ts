import { type Expectation, fieldTests, type Row, row } from "./field_table.ts";

const host = "reviews.default.svc.cluster.local";

type Short = [field: string, policy: string, expect: string | Expectation];

/** A field of the block `path`, in which `value` stands; `beside`: what of the policy goes with it. */
function within(path: string, beside = "") {
  return (field: string, value: string, expect: string | Expectation): Short => {
    const [open, close] = path.split(".").reduce(([open, close], name) => [`${open}${name}: { `, ` }${close}`], [
      "",
      "",
    ]);
    return [`${path}.${field}`, `${open}${value}${close}${beside}`, expect];
  };
}

const http = within("connectionPool.http");
const tcp = within("connectionPool.tcp");
const balancer = within("loadBalancer");
const hash = within("loadBalancer.consistentHash");
const detection = within("outlierDetection");
const tls = within("tls");
const locality = within("loadBalancer.localityLbSetting", ", outlierDetection: { consecutive5xxErrors: 3 }");
const zone = within("loadBalancer.zoneAwareLbSetting", ", outlierDetection: { consecutive5xxErrors: 3 }");

const cookie = "httpCookie: { name: a, path: /b, ttl: 7s, attributes: [{ name: SameSite, value: Strict }] }";
const mutual = "mode: MUTUAL, clientCertificate: /c.pem, privateKey: /k.pem, caCertificates: /ca.pem";
const keepAlive = "h2UpgradePolicy: UPGRADE, http2KeepAlive: { interval: 77s, timeout: 7s }";
const notInForce = { warns: /not in force/ };

/** What may stand at each of the four levels of a rule. */
const everywhere: Short[] = [
  http("http1MaxPendingRequests", "http1MaxPendingRequests: 77", `"maxPendingRequests":77`),
  http("http2MaxRequests", "http2MaxRequests: 77", `"maxRequests":77`),
  http("maxRequestsPerConnection", "maxRequestsPerConnection: 77", `"maxRequestsPerConnection":77`),
  http("maxRetries", "maxRetries: 77", `"maxRetries":77`),
  http("idleTimeout", "idleTimeout: 77s", `"idleTimeout":"77s"`),
  http("h2UpgradePolicy", "h2UpgradePolicy: UPGRADE", `"http2ProtocolOptions":{`),
  http("useClientProtocol", "useClientProtocol: true", `"useDownstreamProtocolConfig":{`),
  http("maxConcurrentStreams", "h2UpgradePolicy: UPGRADE, maxConcurrentStreams: 77", `"maxConcurrentStreams":77`),
  http("http2KeepAlive.interval", keepAlive, `"interval":"77s"`),
  http("http2KeepAlive.timeout", keepAlive, `"timeout":"7s"`),
  tcp("maxConnections", "maxConnections: 77", `"maxConnections":77`),
  tcp("connectTimeout", "connectTimeout: 77ms", `"connectTimeout":"0.077s"`),
  tcp("idleTimeout", "idleTimeout: 77s", `"idleTimeout":"77s"`),
  tcp("maxConnectionDuration", "maxConnectionDuration: 77s", `"maxConnectionDuration":"77s"`),
  tcp("tcpKeepalive.probes", "tcpKeepalive: { probes: 77 }", `"keepaliveProbes":77`),
  tcp("tcpKeepalive.time", "tcpKeepalive: { time: 77s }", `"keepaliveTime":77`),
  tcp("tcpKeepalive.interval", "tcpKeepalive: { interval: 77s }", `"keepaliveInterval":77`),

  balancer("simple", "simple: RANDOM", `"lbPolicy":"RANDOM"`),
  balancer("simple", "simple: PASSTHROUGH", notInForce),
  balancer("warmup.duration", "warmup: { duration: 77s }", `"slowStartWindow":"77s"`),
  balancer(
    "warmup.minimumPercent",
    "warmup: { duration: 77s, minimumPercent: 33 }",
    `"minWeightPercent":{"value":33}`,
  ),
  balancer("warmup.aggression", "warmup: { duration: 77s, aggression: 3 }", `"aggression":{"defaultValue":3`),
  balancer("warmupDurationSecs", "warmupDurationSecs: 77s", `"slowStartWindow":"77s"`),
  hash("httpHeaderName", "httpHeaderName: x-a", `"headerName":"x-a"`),
  hash("httpQueryParameterName", "httpQueryParameterName: a", `"queryParameter":{"name":"a"}`),
  hash("useSourceIp", "useSourceIp: true", `"sourceIp":true`),
  hash("httpCookie.name", cookie, `"name":"a"`),
  hash("httpCookie.path", cookie, `"path":"/b"`),
  hash("httpCookie.ttl", cookie, `"ttl":"7s"`),
  hash("httpCookie.attributes[].name", cookie, `"name":"SameSite"`),
  hash("httpCookie.attributes[].value", cookie, `"value":"Strict"`),
  hash("ringHash.minimumRingSize", "useSourceIp: true, ringHash: { minimumRingSize: 77 }", `"minimumRingSize":"77"`),
  hash("minimumRingSize", "useSourceIp: true, minimumRingSize: 77", `"minimumRingSize":"77"`),
  hash("maglev.tableSize", "useSourceIp: true, maglev: { tableSize: 79 }", `"tableSize":"79"`),
  locality("enabled", "enabled: false", { vanishes: `"priority":1` }),
  locality("distribute[].from", "distribute: [{ from: nowhere, to: { east/*: 80, west/*: 20 } }]", {
    vanishes: `"loadBalancingWeight":80`,
  }),
  locality(
    "distribute[].to.{}",
    "distribute: [{ from: east/*, to: { east/*: 80, west/*: 20 } }]",
    `"loadBalancingWeight":80`,
  ),
  locality("failover[].from", "failover: [{ from: east, to: west }]", `"priority":2`),
  locality("failover[].to", "failover: [{ from: east, to: west }]", `"priority":2`),
  locality("failoverPriority[]", "failoverPriority: [app]", { vanishes: `"priority":1` }),
  zone("enabled", "enabled: true", notInForce),
  zone("failover[].from", "enabled: true, failover: [{ from: east, to: west }]", notInForce),
  zone("failover[].to", "enabled: true, failover: [{ from: east, to: west }]", notInForce),
  zone("failoverPriority[]", "enabled: true, failoverPriority: [version]", notInForce),
  zone("minClusterSize", "enabled: true, minClusterSize: 77", notInForce),

  detection("consecutive5xxErrors", "consecutive5xxErrors: 77", `"consecutive5xx":77`),
  detection("consecutiveGatewayErrors", "consecutiveGatewayErrors: 77", `"consecutiveGatewayFailure":77`),
  detection(
    "consecutiveLocalOriginFailures",
    "splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 77",
    `"consecutiveLocalOriginFailure":77`,
  ),
  detection(
    "splitExternalLocalOriginErrors",
    "splitExternalLocalOriginErrors: true",
    `"splitExternalLocalOriginErrors":true`,
  ),
  detection("interval", "interval: 77s", `"interval":"77s"`),
  detection("baseEjectionTime", "baseEjectionTime: 77s", `"baseEjectionTime":"77s"`),
  detection("maxEjectionPercent", "maxEjectionPercent: 77", `"maxEjectionPercent":77`),
  detection("minHealthPercent", "minHealthPercent: 77", `"healthyPanicThreshold":{"value":77}`),
  // Deprecated; istiod takes it and does nothing.
  detection("consecutiveErrors", "consecutiveErrors: 77", notInForce),
  detection("outlierDetectionHttpErrorCodes[]", "outlierDetectionHttpErrorCodes: [418]", `418`),

  tls("mode", "mode: SIMPLE", `file-root:system`),
  tls("clientCertificate", mutual, "file-cert:/c.pem~/k.pem"),
  tls("privateKey", mutual, "file-cert:/c.pem~/k.pem"),
  tls("caCertificates", mutual, "file-root:/ca.pem"),
  tls("caCrl", `${mutual}, caCrl: /crl.pem`, "/crl.pem"),
  tls("credentialName", "mode: SIMPLE, credentialName: mine", "kubernetes://mine"),
  tls("subjectAltNames[]", "mode: SIMPLE, subjectAltNames: [a.example.com]", `"exact":"a.example.com"`),
  tls("sni", "mode: SIMPLE, sni: a.example.com", `"sni":"a.example.com"`),
  tls("insecureSkipVerify", "mode: SIMPLE, insecureSkipVerify: true", { vanishes: "file-root:system" }),
];

/** What may not stand under portLevelSettings. */
const aboveAllPorts: Short[] = [
  ["proxyProtocol.version", "proxyProtocol: { version: V2 }", `"version":"V2"`],
  ["retryBudget.percent", "retryBudget: { percent: 77 }", `"budgetPercent":{"value":77}`],
  ["retryBudget.minRetryConcurrency", "retryBudget: { minRetryConcurrency: 77 }", `"minRetryConcurrency":77`],
  ["retryBudget.budgetInterval", "retryBudget: { percent: 77, budgetInterval: 77ms }", notInForce],
];

const tunnel = "{ tunnel: { protocol: POST, targetHost: a.example.com, targetPort: 443 } }";

/** Only connections that are relayed as they are go through tunnels. */
const tunnels: Row[] = Object.entries({
  protocol: `"usePost":true`,
  targetHost: `"hostname":"a.example.com:443"`,
  targetPort: `"hostname":"a.example.com:443"`,
}).flatMap(([field, fragment]) => [
  row(`trafficPolicy.tunnel.${field}`, `{ host: db, trafficPolicy: ${tunnel} }`, fragment),
  row(
    `subsets[].trafficPolicy.tunnel.${field}`,
    `{ host: db, subsets: [{ name: v1, labels: { version: v1 }, trafficPolicy: ${tunnel} }] }`,
    fragment,
    `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: db }
spec: { hosts: [db], tcp: [{ route: [{ destination: { host: db, subset: v1 } }] }] }
`,
  ),
]);

/** A route to the subset v1: a subset's policy is looked at only when a route names it. */
const toSubset = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec: { hosts: [reviews], http: [{ route: [{ destination: { host: reviews, subset: v1 } }] }] }
`;

/** The row at one of the levels: `before` and `after` are what stands around the policy. */
function at(prefix: string, before: string, after: string, beside: string): (short: Short) => Row {
  return ([field, policy, expect]) =>
    row(`${prefix}${field}`, `{ host: reviews, ${before}${policy}${after} }`, expect, beside);
}

const subset = "subsets: [{ name: v1, labels: { app: reviews }, trafficPolicy: { ";

fieldTests({
  kind: "DestinationRule",
  apiVersion: "networking.istio.io/v1",
  rows: [
    row("host", "{ host: reviews, trafficPolicy: { loadBalancer: { simple: RANDOM } } }", `"lbPolicy":"RANDOM"`),
    row("exportTo[]", "{ host: reviews, exportTo: [nowhere], trafficPolicy: { loadBalancer: { simple: RANDOM } } }", {
      vanishes: `"lbPolicy":"RANDOM"`,
    }),
    row(
      "workloadSelector.matchLabels.{}",
      "{ host: reviews, exportTo: [.], workloadSelector: { matchLabels: { app: nobody } }, trafficPolicy: { loadBalancer: { simple: RANDOM } } }",
      { vanishes: `"lbPolicy":"RANDOM"` },
    ),
    row(
      "subsets[].name",
      "{ host: reviews, subsets: [{ name: v1, labels: { version: v1 } }] }",
      `"name":"outbound|9080|v1|${host}"`,
    ),
    row("subsets[].labels.{}", "{ host: reviews, subsets: [{ name: v9, labels: { version: v9 } }] }", {
      appears: `{"clusterName":"outbound|9080|v9|${host}"}`,
    }),
    ...[...everywhere, ...aboveAllPorts].flatMap((short) => [
      at("trafficPolicy.", "trafficPolicy: { ", " }", "")(short),
      at("subsets[].trafficPolicy.", subset, " } }]", toSubset)(short),
    ]),
    ...tunnels,
    ...everywhere.flatMap((short) => [
      at(
        "trafficPolicy.portLevelSettings[].",
        "trafficPolicy: { portLevelSettings: [{ port: { number: 9080 }, ",
        " }] }",
        "",
      )(short),
      at(
        "subsets[].trafficPolicy.portLevelSettings[].",
        `${subset}portLevelSettings: [{ port: { number: 9080 }, `,
        " }] } }]",
        toSubset,
      )(short),
    ]),
    ...["trafficPolicy: { ", subset].map((before) => {
      const [prefix, after] = before === subset ? ["subsets[].", " } }]"] : ["", " }"];
      return row(
        `${prefix}trafficPolicy.portLevelSettings[].port.number`,
        `{ host: reviews, ${before}portLevelSettings: [{ port: { number: 9080 }, loadBalancer: { simple: RANDOM } }]${after} }`,
        `"lbPolicy":"RANDOM"`,
        toSubset,
      );
    }),
  ],
});
