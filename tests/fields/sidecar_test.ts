import { type Expectation, fieldTests, type Row, row } from "./field_table.ts";

const notInForce: Expectation = { warns: /not in force/ };

/** Fields of a connection pool: a value, and what the inbound cluster of `reviews` has by it. */
const pools: [field: string, value: string, expect: string | Expectation][] = [
  ["http.h2UpgradePolicy", "UPGRADE", notInForce],
  ["http.http1MaxPendingRequests", "77", `"maxPendingRequests":77`],
  ["http.http2KeepAlive.interval", "7s", `"connectionKeepalive":{"interval":"7s"`],
  ["http.http2KeepAlive.timeout", "7s", `"connectionKeepalive":{"interval":"7s","timeout":"7s"}`],
  ["http.http2MaxRequests", "77", `"maxRequests":77`],
  ["http.idleTimeout", "77s", `"idleTimeout":"77s"`],
  ["http.maxConcurrentStreams", "77", `"maxConcurrentStreams":77`],
  ["http.maxRequestsPerConnection", "77", `"maxRequestsPerConnection":77`],
  ["http.maxRetries", "77", `"maxRetries":77`],
  ["http.useClientProtocol", "true", `"useDownstreamProtocolConfig"`],
  ["tcp.connectTimeout", "7s", `"connectTimeout":"7s"`],
  ["tcp.idleTimeout", "77s", `"idleTimeout":"77s"`],
  ["tcp.maxConnectionDuration", "77s", `"maxConnectionDuration":"77s"`],
  ["tcp.maxConnections", "77", `"maxConnections":77`],
  ["tcp.tcpKeepalive.interval", "77s", `"keepaliveInterval":77`],
  ["tcp.tcpKeepalive.probes", "77", `"keepaliveProbes":77`],
  ["tcp.tcpKeepalive.time", "77s", `"keepaliveTime":77`],
];

function poolRows(place: string, around: (pool: string) => string): Row[] {
  return pools.map(([field, value, expect]) => {
    const [level, name] = field.split(".");
    // The last two are for connections of HTTP/2 alone.
    const http2 = name === "http2KeepAlive" || name === "maxConcurrentStreams" ? "useClientProtocol: true, " : "";
    const pool = name === "tcpKeepalive"
      ? `{ tcp: { tcpKeepalive: { ${field.split(".")[2]}: ${value} } } }`
      : `{ ${level}: { ${http2}${name}: ${name === "http2KeepAlive" ? "{ interval: 7s, timeout: 7s }" : value} } }`;
    return row(`${place}.${field}`, around(pool), expect);
  });
}

/** An ingress listener of the workloads of `reviews`. */
const ingress = (fields: string, port = "number: 9080, protocol: HTTP, name: http") =>
  `{ workloadSelector: { labels: { app: reviews } }, ingress: [{ port: { ${port} }, ${fields} }] }`;

/** Of an ingress listener's TLS, which holds where mutual TLS is off. */
const off = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: off, namespace: istio-system }
spec: { mtls: { mode: DISABLE } }
`;
const files = "serverCertificate: /mine/cert.pem, privateKey: /mine/key.pem";
const tlsRow = (field: string, tls: string, expect: string | Expectation) =>
  row(`ingress[].tls.${field}`, ingress(`tls: { ${tls} }`, "number: 9080, protocol: HTTPS, name: https"), expect, off);
const mutual = `mode: MUTUAL, ${files}, caCertificates: /mine/ca.pem`;
const forGateways: Expectation = { refuses: /for gateways/ };

const egress = (fields: string) => `{ egress: [{ ${fields} }] }`;
const bound = (port = "number: 9080, protocol: HTTP, name: http") =>
  egress(`port: { ${port} }, bind: 127.0.0.9, hosts: ["*/*"]`);

const proxied = (proxy: string, mode = "ALLOW_ANY") =>
  `{ outboundTrafficPolicy: { mode: ${mode}, egressProxy: { ${proxy} } } }`;

/** Among the domains of `reviews` as callers of its own namespace have it, whose Sidecar it is. */
const ownName = `"reviews:9080"`;

fieldTests({
  kind: "Sidecar",
  apiVersion: "networking.istio.io/v1",
  rows: [
    row("workloadSelector.labels.{}", `{ workloadSelector: { labels: { app: nobody } }, egress: [{ hosts: [~/*] }] }`, {
      appears: ownName,
    }),
    row("egress[].bind", bound(), `"name":"127.0.0.9_9080"`),
    row(
      "egress[].captureMode",
      egress(`port: { number: 9080, protocol: HTTP, name: http }, captureMode: NONE, hosts: ["*/*"]`),
      `"name":"127.0.0.1_9080"`,
    ),
    row(
      "egress[].captureMode",
      egress(`port: { number: 9080, protocol: HTTP, name: http }, captureMode: IPTABLES, hosts: ["*/*"]`),
      notInForce,
    ),
    row("egress[].captureMode", egress(`captureMode: NONE, hosts: ["*/*"]`), notInForce),
    row("egress[].bind", egress(`port: { protocol: HTTP, name: a }, bind: "unix:///x", hosts: ["*/*"]`), {
      warns: /not in force/,
    }),
    row("egress[].hosts[]", egress(`hosts: ["./db.default.svc.cluster.local"]`), { vanishes: ownName }),
    row("egress[].port.name", bound("number: 5432, name: tcp"), { vanishes: `"routeConfigName":"127.0.0.9_5432"` }),
    row("egress[].port.number", bound(), `"name":"127.0.0.9_9080"`),
    row("egress[].port.protocol", bound("number: 5432, protocol: TCP"), {
      vanishes: `"routeConfigName":"127.0.0.9_5432"`,
    }),
    row("egress[].port.targetPort", bound("number: 9080, protocol: HTTP, name: http, targetPort: 1"), {
      refuses: /no meaning/,
    }),
    ...poolRows("inboundConnectionPool", (pool) => `{ inboundConnectionPool: ${pool} }`),
    ...poolRows("ingress[].connectionPool", (pool) => ingress(`connectionPool: ${pool}`)),
    row("ingress[].bind", ingress("bind: 127.0.0.9"), `"name":"127.0.0.9_9080"`),
    row("ingress[].captureMode", ingress("captureMode: IPTABLES"), notInForce),
    row("ingress[].defaultEndpoint", ingress(`defaultEndpoint: "unix:///mine"`), `"pipe":{"path":"/mine"}`),
    row("ingress[].defaultEndpoint", ingress(`defaultEndpoint: "0.0.0.0:77"`), `"address":"10.0.0.2","portValue":77`),
    row("ingress[].port.name", ingress("", "number: 77, name: tcp"), { vanishes: `"name":"inbound|http|77"` }),
    row("ingress[].port.number", ingress("", "number: 77, protocol: TCP, name: tcp"), `"name":"10.0.0.1_77"`),
    row("ingress[].port.protocol", ingress("", "number: 77, protocol: TCP"), { vanishes: `"name":"inbound|http|77"` }),
    row("ingress[].port.targetPort", ingress("", "number: 77, protocol: TCP, name: tcp, targetPort: 1"), {
      refuses: /no meaning/,
    }),
    tlsRow("mode", `mode: SIMPLE, ${files}`, `"name":"ingress-tls"`),
    row("ingress[].tls.mode", ingress(`tls: { mode: ISTIO_MUTUAL }`), { refuses: /SIMPLE or MUTUAL/ }),
    tlsRow("serverCertificate", `mode: SIMPLE, ${files}`, `file-cert:/mine/cert.pem~`),
    tlsRow("privateKey", `mode: SIMPLE, ${files}`, `~/mine/key.pem`),
    tlsRow("caCertificates", mutual, `file-root:/mine/ca.pem`),
    tlsRow("caCrl", `${mutual}, caCrl: /mine/crl.pem`, `/mine/crl.pem`),
    tlsRow("cipherSuites[]", `mode: SIMPLE, ${files}, cipherSuites: [AES256-GCM-SHA384]`, `AES256-GCM-SHA384`),
    tlsRow("minProtocolVersion", `mode: SIMPLE, ${files}, minProtocolVersion: TLSV1_3`, {
      appears: `"tlsParams":{"tlsMinimumProtocolVersion":"TLSv1_3"}`,
    }),
    tlsRow("maxProtocolVersion", `mode: SIMPLE, ${files}, maxProtocolVersion: TLSV1_2`, {
      appears: `"tlsMaximumProtocolVersion":"TLSv1_2"`,
    }),
    tlsRow("verifyCertificateHash[]", `${mutual}, verifyCertificateHash: [abab]`, `"verifyCertificateHash":["abab"]`),
    tlsRow("verifyCertificateSpki[]", `${mutual}, verifyCertificateSpki: [YWJj]`, `"verifyCertificateSpki":["YWJj"]`),
    ...["serverCertificate", "privateKey", "caCertificates"].map((field) =>
      tlsRow(
        `tlsCertificates[].${field}`,
        `mode: MUTUAL, tlsCertificates: [{ ${files}, caCertificates: /a }]`,
        forGateways,
      )
    ),
    tlsRow("insecureSkipVerify", `${mutual}, insecureSkipVerify: true`, notInForce),
    tlsRow("credentialName", `mode: SIMPLE, credentialName: a`, forGateways),
    tlsRow("credentialNames[]", `mode: SIMPLE, credentialNames: [a]`, forGateways),
    tlsRow("caCertCredentialName", `mode: MUTUAL, ${files}, caCertCredentialName: a`, forGateways),
    tlsRow("httpsRedirect", `mode: SIMPLE, ${files}, httpsRedirect: true`, forGateways),
    tlsRow("subjectAltNames[]", `${mutual}, subjectAltNames: [a]`, forGateways),
    row("outboundTrafficPolicy.mode", "{ outboundTrafficPolicy: { mode: REGISTRY_ONLY } }", `"name":"block_all"`),
    row(
      "outboundTrafficPolicy.egressProxy.host",
      proxied("host: reviews, port: { number: 9080 }"),
      `"name":"allow_any","route":{"cluster":"outbound|9080||reviews.default.svc.cluster.local"`,
    ),
    row(
      "outboundTrafficPolicy.egressProxy.port.number",
      proxied("host: reviews, port: { number: 9080 }"),
      `"name":"allow_any","route":{"cluster":"outbound|9080||reviews.default.svc.cluster.local"`,
    ),
    row(
      "outboundTrafficPolicy.egressProxy.subset",
      proxied("host: reviews, subset: mine, port: { number: 9080 }"),
      `outbound|9080|mine|reviews`,
    ),
    row("outboundTrafficPolicy.egressProxy.host", proxied("host: reviews, port: { number: 9080 }", "REGISTRY_ONLY"), {
      refuses: /ALLOW_ANY alone/,
    }),
  ],
});
