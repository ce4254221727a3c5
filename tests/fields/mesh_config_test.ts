import assert from "node:assert/strict";
import { meshConfig, parseMeshConfig } from "../../routing/istio/mesh_config.ts";
import { type Expectation, xdsOf } from "./field_table.ts";

/** A field of mesh.yaml, a value of it, what comes of it, and resources that it needs to show. */
type Row = [field: string, value: string, expect: string | Expectation, beside?: string];

const told: Expectation = { warns: /not in force/ };

const rule = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec: { hosts: [reviews], http: [{ name: mine, route: [{ destination: { host: reviews } }] }] }
`;
const policy = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec: { host: reviews, trafficPolicy: { loadBalancer: { simple: RANDOM } } }
`;
const gateway = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: ingress }
spec: { selector: { istio: ingressgateway }, servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ["*"] }] }
`;
const outliers = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec: { host: reviews, trafficPolicy: { outlierDetection: { consecutive5xxErrors: 3 } } }
`;
const allow = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: allow }
spec: { rules: [{ from: [{ source: { principals: [cluster.local/ns/a/sa/b] } }] }] }
`;
const strict = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: elsewhere }
spec: { mtls: { mode: STRICT } }
`;
const logging = `
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: { name: default, namespace: istio-system }
spec: { accessLogging: [{ providers: [{ name: mine }] }] }
`;

const inForce: Row[] = [
  ["trustDomain", "td.example", `spiffe://td.example/`],
  ["trustDomainAliases", "[old.example]", `old.example/ns/a/sa/b`, allow],
  ["rootNamespace", "elsewhere", { vanishes: `"transportProtocol":"raw_buffer"` }, strict],
  ["outboundTrafficPolicy", "{ mode: REGISTRY_ONLY }", `"name":"block_all"`],
  ["connectTimeout", "77s", `"connectTimeout":"77s"`],
  ["tcpKeepalive", "{ probes: 77 }", `"keepaliveProbes":77`],
  ["defaultHttpRetryPolicy", "{ attempts: 7, retryOn: gateway-error }", `"numRetries":7`],
  ["defaultServiceExportTo", "[nowhere]", { vanishes: `outbound|5432||db.default` }],
  ["defaultVirtualServiceExportTo", "[nowhere]", { vanishes: `"name":"mine"` }, rule],
  ["defaultDestinationRuleExportTo", "[nowhere]", { vanishes: `"lbPolicy":"RANDOM"` }, policy],
  ["dnsRefreshRate", "77s", `"dnsRefreshRate":"77s"`],
  ["accessLogFile", "/dev/stdout", `"path":"/dev/stdout"`],
  ["accessLogEncoding", "JSON\naccessLogFile: /dev/stdout", `"jsonFormat":{`],
  ["accessLogFormat", `"mine\\n"\naccessLogFile: /dev/stdout`, `"inlineString":"mine\\n"`],
  ["pathNormalization", "{ normalization: MERGE_SLASHES }", `"mergeSlashes":true`],
  ["localityLbSetting", "{ enabled: false }", { vanishes: `"priority":1` }, outliers],
  ["h2UpgradePolicy", "UPGRADE", `"http2ProtocolOptions":{`],
  ["defaultConfig", "{ gatewayTopology: { numTrustedProxies: 2 } }", `"xffNumTrustedHops":2`, gateway],
  ["extensionProviders", "[{ name: mine, envoyFileAccessLog: { path: /mine.log } }]", `"path":"/mine.log"`, logging],
  ["defaultProviders", "{ accessLogging: [envoy] }", `"path":"/dev/stdout"`],
  [
    "protocolDetectionTimeout",
    "77s",
    `"listenerFiltersTimeout":"77s"`,
    "apiVersion: v1\nkind: Service\nmetadata: { name: odd }\nspec: { ports: [{ name: odd, port: 7777 }] }\n",
  ],
];

const toldByName = [
  "ca",
  "caCertificates",
  "configSources",
  "defaultInboundHttpRetryPolicy",
  "defaultTrafficPolicy",
  "disableEnvoyListenerLog",
  "discoverySelectors",
  "enableAutoMtls",
  "enableEnvoyAccessLogService",
  "enablePrometheusMerge",
  "enableTracing",
  "hboneIdleTimeout",
  "inboundClusterStatName",
  "inboundTrafficPolicy",
  "ingressClass",
  "ingressControllerMode",
  "ingressSelector",
  "ingressService",
  "meshMTLS",
  "outboundClusterStatName",
  "proxyHttpPort",
  "proxyInboundListenPort",
  "proxyListenPort",
  "serviceEntryVisibility",
  "serviceScopeConfigs",
  "serviceSettings",
  "tlsDefaults",
  "verifyCertificateAtClient",
  "zoneAwareLbSetting",
];

const rows: Row[] = [...inForce, ...toldByName.map((field): Row => [field, "false", told])];

Deno.test("every field of mesh.yaml has its row", () => {
  const known = Object.keys(meshConfig.json!.properties as Record<string, unknown>);
  assert.deepEqual(rows.map(([field]) => field).sort(), known.sort());
});

for (const [field, value, written, beside = ""] of rows) {
  Deno.test(`mesh.yaml ${field}`, () => {
    const { settings, problems } = parseMeshConfig("mesh.yaml", `${field}: ${value}\n`);
    assert.deepEqual(problems.filter(({ severity }) => severity === "error"), []);
    const expect: Expectation = typeof written === "string" ? { appears: written } : written;
    const messages = problems.map(({ path, message }) => `${path}: ${message}`).join("\n");
    if ("warns" in expect) return assert.match(messages, expect.warns);
    assert.equal(messages, "");
    const [changed, plain] = [xdsOf(beside, settings), xdsOf(beside)];
    const [here, there, fragment] = "vanishes" in expect
      ? [plain, changed, expect.vanishes]
      : [changed, plain, (expect as { appears: string }).appears];
    assert.ok(here.includes(fragment), `${fragment} is not where it should be`);
    assert.ok(!there.includes(fragment), `${fragment} is there in either case`);
  });
}
