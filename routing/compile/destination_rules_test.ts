import { deepStrictEqual, notStrictEqual, strictEqual } from "node:assert/strict";
import { meshIndex } from "./mesh_index.ts";
import { mesh, resources, service } from "./testing/mesh.ts";

/** A rule as one line: `NAMESPACE/NAME HOST [exportTo]`. */
function rule(namespace: string, name: string, host: string, more = ""): string {
  return `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ${name}, namespace: ${namespace} }
spec: { host: "${host}", trafficPolicy: { loadBalancer: { simple: RANDOM } }${more} }
---`;
}

/** Names of the rules that a client follows towards `reviews.shop`. */
function followed(rules: string[], namespace: string, labels: Record<string, string> = {}): string[] {
  const reviews = service("reviews", { namespace: "shop" });
  const all = rules.flatMap((yaml) => resources(yaml.replace(/---$/, "")));
  return meshIndex(mesh([reviews], all)).rulesFor(reviews, { namespace, labels }).rules
    .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
}

const host = "reviews.shop.svc.cluster.local";

Deno.test("rules are looked up in the client's, then the service's, then the root namespace", () => {
  const client = rule("front", "r", host);
  const own = rule("shop", "r", "reviews");
  const root = rule("istio-system", "r", "*.svc.cluster.local");
  deepStrictEqual(followed([root, own, client], "front"), ["front/r"]);
  deepStrictEqual(followed([root, own, client], "elsewhere"), ["shop/r"]);
  deepStrictEqual(followed([root, client], "elsewhere"), ["istio-system/r"]);
  deepStrictEqual(followed([client], "elsewhere"), []);
});

Deno.test("a client in the root namespace prefers the service's own rules to mesh-wide ones", () => {
  const own = rule("shop", "r", "reviews");
  const root = rule("istio-system", "r", "*.svc.cluster.local");
  const kept = rule("istio-system", "kept", host, ', exportTo: ["."]');
  deepStrictEqual(followed([root, own], "istio-system"), ["shop/r"]);
  deepStrictEqual(followed([root, own, kept], "istio-system"), ["istio-system/kept"]);
});

Deno.test("rules that are not exported to the client do not hide wider ones", () => {
  const kept = rule("shop", "kept", "reviews", ', exportTo: ["."]');
  const root = rule("istio-system", "r", "*");
  deepStrictEqual(followed([kept, root], "front"), ["istio-system/r"]);
  deepStrictEqual(followed([kept, root], "shop"), ["shop/kept"]);
});

Deno.test("the most specific host of a namespace wins", () => {
  const wide = rule("shop", "wide", "*.svc.cluster.local");
  const narrow = rule("shop", "narrow", "*.shop.svc.cluster.local");
  const exact = rule("shop", "exact", "reviews");
  deepStrictEqual(followed([wide, narrow], "shop"), ["shop/narrow"]);
  deepStrictEqual(followed([wide, narrow, exact], "shop"), ["shop/exact"]);
});

Deno.test("a rule for selected workloads holds for these, before the rule for all", () => {
  const all = rule("shop", "all", "reviews");
  const selected = rule(
    "shop",
    "selected",
    "reviews",
    ', exportTo: ["."], workloadSelector: { matchLabels: { app: a } }',
  );
  deepStrictEqual(followed([all, selected], "shop", { app: "b" }), ["shop/all"]);
  deepStrictEqual(followed([all, selected], "shop", { app: "a" }), ["shop/selected", "shop/all"]);
  deepStrictEqual(followed([all, selected], "front", { app: "a" }), ["shop/all"]);
});

Deno.test("rules of one host are joined: the first policy, all subsets, the first of a name", () => {
  const reviews = service("reviews");
  const rules = resources(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: b }
spec: { host: reviews, trafficPolicy: { loadBalancer: { simple: RANDOM } }, subsets: [ { name: v1, labels: { x: late } } ] }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: a }
spec: { host: reviews, subsets: [ { name: v1, labels: { x: early } }, { name: v2 } ] }
`);
  const client = { namespace: "default", labels: {} };
  const set = meshIndex(mesh([reviews], rules)).rulesFor(reviews, client);
  deepStrictEqual(set.trafficPolicy, { loadBalancer: { simple: "RANDOM" } });
  deepStrictEqual([...set.subsets.keys()], ["v1", "v2"]);
  deepStrictEqual(set.subsets.get("v1")?.subset.labels, { x: "early" });

  strictEqual(meshIndex(mesh([reviews], rules)).rulesFor(reviews, client), set, "the same rules give the same object");
  notStrictEqual(meshIndex(mesh([reviews], [rules[0]])).rulesFor(reviews, client), set);
});

Deno.test("the older rule goes first, whatever the names", () => {
  const reviews = service("reviews");
  const rules = resources(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: a, creationTimestamp: "2026-01-01T01:00:00+02:00" }
spec: { host: reviews }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: b, creationTimestamp: "2025-12-31T22:00:00Z" }
spec: { host: reviews }
`);
  const set = meshIndex(mesh([reviews], rules)).rulesFor(reviews, { namespace: "default", labels: {} });
  deepStrictEqual(set.rules.map(({ metadata }) => metadata.name), ["b", "a"]);
});
