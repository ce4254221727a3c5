import { deepStrictEqual, ok } from "node:assert/strict";
import type { ServicePort } from "../mesh.ts";
import { ListenerSchema } from "../xds/gen/envoy/config/listener/v3/listener_pb.ts";
import { compileProxy } from "./proxy.ts";
import { json, mesh, node, service } from "./testing/mesh.ts";

const tcp: ServicePort = { name: "tcp", number: 5432, protocol: "TCP" };
const tls: ServicePort = { name: "tls", number: 443, protocol: "TLS" };
const services = [
  service("db", { ports: [tcp, tls], addresses: ["127.64.0.10"] }),
  service("old", { ports: [tcp] }),
  service("new", { ports: [tcp] }),
];

/** `server names -> clusters` of each chain of the listener on a port of `db`, and the warnings. */
function chains(port: number, spec: string, client: Parameters<typeof node>[0] = {}, more = "") {
  const rules = `
kind: VirtualService
metadata: { name: db }
spec: { hosts: [db], ${spec} }
${more}`;
  const snapshot = compileProxy(mesh(services, rules), node({ ports: [], vipRange: "127.64.0.0/16", ...client }));
  const { filterChains, listenerFilters } = json(ListenerSchema, snapshot.listeners.get(`127.64.0.10_${port}`));
  // deno-lint-ignore no-explicit-any -- xDS as JSON
  const described = filterChains.map(({ filterChainMatch, filters: [{ typedConfig }] }: any) => {
    const { cluster, weightedClusters } = typedConfig;
    const names = filterChainMatch?.serverNames?.join() ?? "";
    const clusters = weightedClusters?.clusters ?? [{ name: cluster, weight: 1 }];
    const host = (name: string) => name.split("|")[3].split(".")[0];
    // deno-lint-ignore no-explicit-any -- xDS as JSON
    return `${names} -> ${clusters.map(({ name, weight }: any) => `${host(name)} ${weight}`).join(", ")}`;
  });
  return { described, inspects: listenerFilters !== undefined, warnings: snapshot.warnings.map(({ field }) => field) };
}

const to = (...hosts: string[]) => `route: [${hosts.map((host) => `{ destination: { host: ${host} } }`)}]`;

Deno.test("a TCP service goes where the first TCP route for the client says, by weight", () => {
  const split = "route: [{ destination: { host: old }, weight: 3 }, { destination: { host: new }, weight: 1 }]";
  deepStrictEqual(chains(5432, `tcp: [{ match: [{ port: 1 }], ${to("old")} }, { ${split} }]`).described, [
    " -> old 3, new 1",
  ]);
});

Deno.test("conditions of TCP routes on the source and the destination are held against client and address", () => {
  const first = (match: string, client = {}) =>
    chains(5432, `tcp: [{ match: [{ ${match} }], ${to("new")} }, { ${to("old")} }]`, client).described[0].slice(4, 7);
  deepStrictEqual(first("destinationSubnets: [127.64.0.0/24]"), "new");
  deepStrictEqual(first("destinationSubnets: [10.0.0.0/8]"), "old");
  deepStrictEqual(first("sourceLabels: { app: productpage }"), "new");
  deepStrictEqual(first("sourceLabels: { app: productpage }", { labels: { app: "other" } }), "old");
  deepStrictEqual(first("sourceNamespace: default"), "new");
  deepStrictEqual(first("sourceNamespace: other"), "old");
  deepStrictEqual(first("gateways: [mesh]"), "new");
  deepStrictEqual(first("gateways: [edge]"), "old");
});

Deno.test("without a route that applies connections go to the service itself", () => {
  deepStrictEqual(chains(5432, `tcp: [{ match: [{ port: 1 }], ${to("old")} }]`).described, [" -> db 1"]);
  deepStrictEqual(chains(5432, `gateways: [edge], tcp: [{ ${to("old")} }]`).described, [" -> db 1"]);
  deepStrictEqual(chains(443, `tcp: [{ ${to("old")} }]`), { described: [" -> db 1"], inspects: false, warnings: [] });
});

Deno.test("TLS routes are chosen by server name, and a name that is taken is not taken twice", () => {
  const { described, inspects } = chains(
    443,
    `tls: [{ match: [{ sniHosts: [A.example, b.example] }], ${to("old")} },
      { match: [{ sniHosts: [b.example] }, { sniHosts: ["*.example"] }], ${to("new")} }]`,
  );
  deepStrictEqual(described, ["a.example,b.example -> old 1", "*.example -> new 1"]);
  ok(inspects);
});

Deno.test("a destination that there is not is told", () => {
  deepStrictEqual(chains(5432, `tcp: [{ ${to("gone")} }]`).warnings, ["tcp[0].route[0].destination.host"]);
});
