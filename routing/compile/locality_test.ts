import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { LocalityLbSetting } from "../istio/types.ts";
import { ClusterSchema } from "../xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { compileEndpoints } from "./endpoints.ts";
import { preferNear } from "./locality.ts";
import { compileProxy } from "./proxy.ts";
import { endpoint, json, mesh, node, service } from "./testing/mesh.ts";

interface Member {
  name: string;
  labels: Record<string, string>;
  weight: number;
}

/** `priority weight: members` of each group, for a client in `eu/a/1`. */
function prefer(
  localities: Record<string, Member[]>,
  setting: LocalityLbSetting,
  labels: Record<string, string> = {},
): string[] {
  const groups = Object.entries(localities).map(([locality, members]) => ({
    locality,
    members,
    weight: members.reduce((sum, { weight }) => sum + weight, 0),
    priority: 0,
  }));
  return preferNear(groups, { locality: "eu/a/1", labels, setting }).map((group) =>
    `${group.priority} ${group.weight}: ${group.members.map(({ name }) => name).join(" ")}`
  );
}

function member(name: string, labels: Record<string, string> = {}, weight = 1): Member {
  return { name, labels, weight };
}

const everywhere = {
  "": [member("nowhere")],
  "asia/x": [member("asia")],
  "eu/a/1": [member("subzone")],
  "eu/a/2": [member("zone")],
  "eu/b": [member("region")],
};

Deno.test("endpoints are preferred by subzone, zone and region", () => {
  deepStrictEqual(prefer(everywhere, {}), ["3 1: nowhere", "3 1: asia", "0 1: subzone", "1 1: zone", "2 1: region"]);
});

Deno.test("a region without a match of its own fails over to the one that the rule names", () => {
  deepStrictEqual(prefer(everywhere, { failover: [{ from: "us", to: "x" }, { from: "eu", to: "asia" }] }), [
    "4 1: nowhere",
    "3 1: asia",
    "0 1: subzone",
    "1 1: zone",
    "2 1: region",
  ]);
});

Deno.test("priorities have no gaps", () => {
  deepStrictEqual(prefer({ "eu/b": [member("region")], "us/x": [member("us")] }, {}), ["0 1: region", "1 1: us"]);
});

Deno.test("labels give priorities by how many of them match in order", () => {
  const all = [
    member("none"),
    member("one", { network: "n1" }),
    member("both", { network: "n1", version: "v2" }, 3),
    member("wrong order", { version: "v2" }),
  ];
  const setting = { failoverPriority: ["network", "version=v2"] };
  deepStrictEqual(prefer({ "eu/a": all }, setting, { network: "n1", version: "v1" }), [
    "0 3: both",
    "1 1: one",
    "2 2: none wrong order",
  ]);
});

Deno.test("failover priority knows the topology of client and endpoint", () => {
  const setting = { failoverPriority: ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"] };
  deepStrictEqual(prefer({ "eu/b": [member("region")], "us/a": [member("us")], "eu/a": [member("zone")] }, setting), [
    "1 1: region",
    "2 1: us",
    "0 1: zone",
  ]);
});

Deno.test("labels come before regions where both are given", () => {
  const localities = { "us/x": [member("labelled", { tier: "gold" })], "asia/x": [member("asia")] };
  const setting = { failoverPriority: ["tier=gold"], failover: [{ from: "eu", to: "asia" }] };
  deepStrictEqual(prefer(localities, setting), ["0 1: labelled", "1 1: asia"]);
});

Deno.test("distribution shares each weight among the localities that its name covers", () => {
  const localities = {
    "eu/a/1": [member("a")],
    "us/x": [member("x", {}, 3)],
    "us/y": [member("y", {}, 1)],
    "asia/z": [member("z")],
  };
  const setting: LocalityLbSetting = {
    distribute: [{ from: "us/*", to: { "us/*": 100 } }, { from: "eu/a/*", to: { "eu/a/*": 60, "us/*": 40 } }],
  };
  deepStrictEqual(prefer(localities, setting), ["0 60: a", "0 30: x", "0 10: y", "0 1: "]);
  deepStrictEqual(prefer(localities, { distribute: [{ from: "us", to: { us: 100 } }] }), [
    "0 1: a",
    "0 3: x",
    "0 1: y",
    "0 1: z",
  ]);
});

const name = "outbound|9080||reviews.default.svc.cluster.local";

function state(trafficPolicy: string) {
  const endpoints = ["eu/a", "us/x"].map((locality, i) =>
    endpoint(`reviews-v${i}`, { address: `127.0.${i + 1}.1`, locality })
  );
  return mesh(
    [service("reviews", { endpoints })],
    `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec: { host: reviews, trafficPolicy: ${trafficPolicy} }
`,
  );
}

function priorities(trafficPolicy: string, locality: string): number[] {
  const client = { namespace: "default", labels: {}, locality };
  return compileEndpoints(state(trafficPolicy), name, client).endpoints.map(({ priority }) => priority);
}

Deno.test("each client has priorities of its own once outlier detection is on", () => {
  deepStrictEqual(priorities("{ outlierDetection: {} }", "eu/a"), [0, 1]);
  deepStrictEqual(priorities("{ outlierDetection: {} }", "us/x"), [1, 0]);
  deepStrictEqual(priorities("{ outlierDetection: {} }", ""), [0, 0]);
  deepStrictEqual(priorities("{ connectionPool: {} }", "eu/a"), [0, 0]);
  const off = "{ outlierDetection: {}, loadBalancer: { localityLbSetting: { enabled: false } } }";
  deepStrictEqual(priorities(off, "eu/a"), [0, 0]);
});

Deno.test("clients in one locality share one assignment", () => {
  const mesh = state("{ outlierDetection: {} }");
  const client = (version: string, locality = "eu/a") => ({ namespace: "default", labels: { version }, locality });
  const first = compileEndpoints(mesh, name, client("v1"));
  strictEqual(compileEndpoints(mesh, name, client("v2")), first);
  strictEqual(compileEndpoints(mesh, name, client("v1", "us/x")) === first, false);
});

Deno.test("locality weights are switched on where a rule distributes, or fails over with outlier detection", () => {
  const weighted = (trafficPolicy: string) => {
    const cluster = compileProxy(state(trafficPolicy), node()).clusters.get(name);
    return json(ClusterSchema, cluster).commonLbConfig.localityWeightedLbConfig !== undefined;
  };
  strictEqual(weighted("{ outlierDetection: {} }"), false);
  const failover = "loadBalancer: { localityLbSetting: { failover: [{ from: eu, to: us }] } }";
  strictEqual(weighted(`{ ${failover} }`), false);
  strictEqual(weighted(`{ ${failover}, outlierDetection: {} }`), true);
  const distribute = "loadBalancer: { localityLbSetting: { distribute: [{ from: eu, to: { us: 100 } }] } }";
  strictEqual(weighted(`{ ${distribute} }`), true);
});
