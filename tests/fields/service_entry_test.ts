import { fieldTests, row } from "./field_table.ts";

const api = "networking.istio.io/v1";
const notInForce = { warns: /not in force/ };
const http = "{ number: 7070, name: http, protocol: HTTP }";

/** An entry of one host and port with one endpoint. */
function entry({ more = "", endpoint = "", host = "api.example", port = http } = {}): string {
  return `
hosts: [${host}]
ports: [${port}]
resolution: STATIC
location: MESH_EXTERNAL
endpoints: [{ address: 10.7.7.7${endpoint === "" ? "" : `, ${endpoint}`} }]
${more}`;
}

fieldTests({
  kind: "ServiceEntry",
  apiVersion: api,
  rows: [
    row("hosts[]", entry(), `"outbound|7070||api.example"`),
    row("addresses[]", entry({ more: "addresses: [10.77.0.1]" }), `"10.77.0.1:7070"`),
    row("addresses[]", entry({ more: "addresses: [127.64.0.9]" }), `"address":"127.64.0.9","portValue":7070`),
    row("addresses[]", entry({ more: "addresses: [10.77.0.0/24]" }), notInForce),
    row("ports[].number", entry(), `"portValue":7070`),
    row("ports[].name", entry({ port: "{ number: 7070, name: http-web }" }), `"api.example:7070"`),
    row("ports[].protocol", entry({ port: "{ number: 7070, name: web, protocol: TCP }" }), {
      vanishes: `"name":"default","route":{"cluster":"outbound|7070||api.example"`,
    }),
    row(
      "ports[].protocol",
      entry({ port: "{ number: 7070, name: web, protocol: GRPC }" }),
      `"explicitHttpConfig":{"http2ProtocolOptions"`,
    ),
    row(
      "ports[].targetPort",
      entry({ port: "{ number: 7070, name: http, protocol: HTTP, targetPort: 7071 }" }),
      `"address":"10.7.7.7","portValue":7071`,
    ),
    row("location", entry().replace("EXTERNAL", "INTERNAL"), `outbound_.7070_._.api.example`),
    row("resolution", entry(), `"address":"10.7.7.7"`),
    row("endpoints[].address", entry(), `"address":"10.7.7.7"`),
    row(
      "endpoints[].labels.{}",
      entry({ endpoint: "labels: { app: theirs }" }),
      `theirs;`,
    ),
    row("endpoints[].locality", entry({ endpoint: "locality: north/b/2" }), `"subZone":"2"`),
    row("endpoints[].network", entry({ endpoint: "network: far" }), notInForce),
    row("endpoints[].ports.{}", entry({ endpoint: "ports: { http: 7072 }" }), `"portValue":7072`),
    row(
      "endpoints[].serviceAccount",
      entry({ endpoint: "serviceAccount: theirs", more: "location: MESH_INTERNAL" }).replace(
        "location: MESH_EXTERNAL\n",
        "",
      ),
      `/ns/default/sa/theirs`,
    ),
    row("endpoints[].weight", entry({ endpoint: "weight: 77" }), `"loadBalancingWeight":77`),
    row("exportTo[]", entry({ more: "exportTo: [istio-system]" }), { vanishes: `"api.example:7070"` }),
    row(
      "subjectAltNames[]",
      entry({ more: "subjectAltNames: [spiffe://cluster.local/ns/x/sa/y]" }).replace("EXTERNAL", "INTERNAL"),
      `spiffe://cluster.local/ns/x/sa/y`,
    ),
    row(
      "workloadSelector.labels.{}",
      `
hosts: [db.example]
ports: [{ number: 7070, name: tcp, protocol: TCP }]
resolution: STATIC
workloadSelector: { labels: { app: db } }`,
      `"clusterName":"outbound|7070||db.example","endpoints":[{`,
    ),
  ],
});

const selecting = `
apiVersion: v1
kind: Service
metadata: { name: cache }
spec: { ports: [{ name: tcp, port: 6379 }], selector: { app: cache } }
`;

function workload(more: string): string {
  return `{ address: 10.6.6.6, labels: { app: cache }${more === "" ? "" : `, ${more}`} }`;
}

fieldTests({
  kind: "WorkloadEntry",
  apiVersion: api,
  rows: [
    row("address", workload(""), `"address":"10.6.6.6"`, selecting),
    row("labels.{}", workload(""), `"address":"10.6.6.6"`, selecting),
    row("locality", workload("locality: north/b/2"), `"subZone":"2"`, selecting),
    row("network", workload("network: far"), notInForce),
    row("ports.{}", workload("ports: { tcp: 7072 }"), `"portValue":7072`, selecting),
    row("serviceAccount", workload("serviceAccount: theirs"), `/ns/default/sa/theirs`, selecting),
    row("weight", workload("weight: 77"), `"loadBalancingWeight":77`, selecting),
  ],
});

const template = "template: { serviceAccount: theirs }";

/** A group with this probe. */
function probed(probe: string): string {
  return `{ ${template}, probe: { ${probe} } }`;
}

const byGet =
  "httpGet: { port: 80, path: /ready, host: 10.6.6.6, scheme: HTTPS, httpHeaders: [{ name: a, value: b }] }";

fieldTests({
  kind: "WorkloadGroup",
  apiVersion: api,
  rows: [
    row("metadata.labels.{}", `{ ${template}, metadata: { labels: { app: cache } } }`, notInForce),
    row("metadata.annotations.{}", `{ ${template}, metadata: { annotations: { a: b } } }`, notInForce),
    row("template.address", "template: { address: 10.6.6.6 }", { refuses: /each workload has its own/ }),
    row("template.labels.{}", "template: { labels: { app: cache } }", { refuses: /metadata\.labels/ }),
    row("template.locality", "template: { locality: north/b/2 }", notInForce),
    row("template.network", "template: { network: far }", notInForce),
    row("template.ports.{}", "template: { ports: { http: 8080 } }", notInForce),
    row("template.serviceAccount", template, notInForce),
    row("template.weight", "template: { weight: 7 }", notInForce),
    ...["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"].map((field) =>
      row(`probe.${field}`, probed(`${field}: 7, tcpSocket: { port: 80 }`), notInForce)
    ),
    ...["path", "port", "host", "scheme", "httpHeaders[].name", "httpHeaders[].value"].map((field) =>
      row(`probe.httpGet.${field}`, probed(byGet), notInForce)
    ),
    row("probe.tcpSocket.port", probed("tcpSocket: { port: 80, host: 10.6.6.6 }"), notInForce),
    row("probe.tcpSocket.host", probed("tcpSocket: { port: 80, host: 10.6.6.6 }"), notInForce),
    row("probe.exec.command[]", probed("exec: { command: [/bin/true] }"), notInForce),
    row("probe.grpc.port", probed("grpc: { port: 80, service: a }"), notInForce),
    row("probe.grpc.service", probed("grpc: { port: 80, service: a }"), notInForce),
  ],
});
