import { type Expectation, fieldTests, row } from "./field_table.ts";

const selector = "selector: { istio: ingressgateway }";
const http = "{ number: 80, name: http, protocol: HTTP }";
const https = "{ number: 443, name: https, protocol: HTTPS }";

const server = (rest: string, port = http) => `{ ${selector}, servers: [{ port: ${port}, hosts: ["*"]${rest} }] }`;
const tls = (fields: string) => server(`, tls: { ${fields} }`, https);

/** A field of `tls` beside a credential that is there with and without it. */
const ofTls = (field: string, value: string, expect: string | Expectation, mode = "SIMPLE") =>
  row(`servers[].tls.${field}`, tls(`mode: ${mode}, credentialName: edge, ${value}`), expect);

const files = "serverCertificate: /etc/tls.crt, privateKey: /etc/tls.key";

const routes = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [a.example.com, b.example.com]
  gateways: [row]
  http: [{ route: [{ destination: { host: reviews } }] }]
`;

fieldTests({
  kind: "Gateway",
  apiVersion: "networking.istio.io/v1",
  rows: [
    row("selector.{}", `{ selector: { istio: nobody }, servers: [{ port: ${http}, hosts: ["*"] }] }`, {
      vanishes: `"routeConfigName":"http.80"`,
    }),
    row("servers[].port.number", server("", "{ number: 8081, name: http, protocol: HTTP }"), `"portValue":8081`),
    row("servers[].port.name", tls("mode: SIMPLE, credentialName: edge"), `https.443.https.row.default`),
    row(
      "servers[].port.protocol",
      server("", "{ number: 80, name: http, protocol: HTTP }"),
      `"routeConfigName":"http.80"`,
    ),
    row("servers[].port.targetPort", server("", "{ number: 80, name: http, protocol: HTTP, targetPort: 8080 }"), {
      refuses: /no meaning/,
    }),
    row("servers[].bind", server(", bind: 127.0.0.7"), `"address":"127.0.0.7"`),
    row("servers[].bind", server(", bind: unix:///run/edge.sock"), { warns: /not in force/ }),
    row(
      "servers[].hosts[]",
      `{ ${selector}, servers: [{ port: ${http}, hosts: [a.example.com] }] }`,
      `"a.example.com"`,
      routes,
    ),
    row(
      "servers[].name",
      `{ ${selector}, servers: [{ port: ${http}, hosts: [a.example.com], name: twice }, { port: ${https}, hosts: [b.example.com], name: twice, tls: { mode: PASSTHROUGH } }] }`,
      { refuses: /earlier/ },
    ),
    row("servers[].defaultEndpoint", server(", defaultEndpoint: 127.0.0.1:80"), { warns: /not in force/ }),
    row("servers[].tls.httpsRedirect", server(", tls: { httpsRedirect: true }"), `"requireTls":"ALL"`, routes),
    row("servers[].tls.mode", tls("mode: MUTUAL, credentialName: edge"), `"name":"kubernetes://edge-cacert"`),
    row("servers[].tls.mode", tls("mode: AUTO_PASSTHROUGH"), { warns: /not in force/ }),
    row("servers[].tls.credentialName", tls("mode: SIMPLE, credentialName: edge"), `"name":"kubernetes://edge"`),
    row(
      "servers[].tls.credentialNames[]",
      tls("mode: SIMPLE, credentialNames: [rsa, ecdsa]"),
      `"name":"kubernetes://rsa"`,
    ),
    row(
      "servers[].tls.serverCertificate",
      tls(`mode: SIMPLE, ${files}`),
      `"name":"file-cert:/etc/tls.crt~/etc/tls.key"`,
    ),
    row("servers[].tls.privateKey", tls(`mode: SIMPLE, ${files}`), `"name":"file-cert:/etc/tls.crt~/etc/tls.key"`),
    row(
      "servers[].tls.caCertificates",
      tls(`mode: MUTUAL, ${files}, caCertificates: /etc/ca.crt`),
      `"name":"file-root:/etc/ca.crt"`,
    ),
    row(
      "servers[].tls.caCrl",
      tls(`mode: MUTUAL, ${files}, caCertificates: /etc/ca.crt, caCrl: /etc/ca.crl`),
      `"crl":{"filename":"/etc/ca.crl"}`,
    ),
    ...["serverCertificate", "privateKey"].map((field) =>
      row(
        `servers[].tls.tlsCertificates[].${field}`,
        tls(`mode: SIMPLE, tlsCertificates: [{ ${files} }]`),
        `"name":"file-cert:/etc/tls.crt~/etc/tls.key"`,
      )
    ),
    row(
      "servers[].tls.tlsCertificates[].caCertificates",
      tls(`mode: MUTUAL, tlsCertificates: [{ ${files}, caCertificates: /etc/ca.crt }], caCertificates: /etc/ca.crt`),
      {
        warns: /not in force/,
      },
    ),
    ofTls("caCertCredentialName", "caCertCredentialName: clients", `"name":"kubernetes://clients-cacert"`, "MUTUAL"),
    ofTls(
      "cipherSuites[]",
      "cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256]",
      `"cipherSuites":["ECDHE-RSA-AES128-GCM-SHA256"]`,
    ),
    ofTls("cipherSuites[]", "cipherSuites: [NULL-MD5]", { warns: /not known/ }),
    ofTls("insecureSkipVerify", "insecureSkipVerify: true", { warns: /not in force/ }, "MUTUAL"),
    ofTls("minProtocolVersion", "minProtocolVersion: TLSV1_3", {
      vanishes: `"tlsParams":{"tlsMinimumProtocolVersion":"TLSv1_2"}`,
    }),
    ofTls("minProtocolVersion", "minProtocolVersion: TLSV1_0", { warns: /not in force/ }),
    ofTls("maxProtocolVersion", "maxProtocolVersion: TLSV1_2", `"tlsMaximumProtocolVersion":"TLSv1_2"`),
    ofTls("subjectAltNames[]", "subjectAltNames: [spiffe://a/b]", `"exact":"spiffe://a/b"`, "MUTUAL"),
    ofTls(
      "verifyCertificateHash[]",
      `verifyCertificateHash: ["${"ab".repeat(32)}"]`,
      `"verifyCertificateHash":["abab`,
      "MUTUAL",
    ),
    ofTls(
      "verifyCertificateSpki[]",
      `verifyCertificateSpki: ["${"A".repeat(43)}="]`,
      `"verifyCertificateSpki":["AAAA`,
      "MUTUAL",
    ),
  ],
});
