import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { VirtualService } from "../istio/types.ts";
import { withDelegates } from "./delegates.ts";
import { resources } from "./testing/mesh.ts";

function merge(root: string, delegate: string, exportTo = "") {
  const { virtualServices, warnings } = withDelegates(
    resources(`
kind: VirtualService
metadata: { name: root }
spec: { hosts: [shop.example], http: [{ delegate: { name: part, namespace: other }, ${root} }] }
---
kind: VirtualService
metadata: { name: part, namespace: other }
spec: { ${exportTo} http: [${delegate}] }
`) as VirtualService[],
    "cluster.local",
  );
  strictEqual(virtualServices.length, 1);
  return {
    http: virtualServices[0].spec.http!,
    warnings: warnings.map(({ field, message }) => `${field}: ${message}`),
  };
}

const toReviews = "route: [{ destination: { host: reviews } }]";

Deno.test("a delegate's routes stand where the root names it, with hosts of its own namespace", () => {
  const { http, warnings } = merge("name: shop, timeout: 3s", `{ name: all, ${toReviews} }`);
  deepStrictEqual(warnings, []);
  deepStrictEqual(http, [{
    name: "shop-all",
    timeout: "3s",
    route: [{ destination: { host: "reviews.other.svc.cluster.local" } }],
  }]);
});

Deno.test("conditions of root and delegate hold together", () => {
  const { http } = merge(
    "match: [{ uri: { prefix: /shop }, headers: { a: { exact: b } } }, { uri: { prefix: /store } }]",
    `{ match: [{ uri: { prefix: /shop/reviews } }, { uri: { exact: /store/x }, headers: { c: {} } }], ${toReviews} }`,
  );
  deepStrictEqual(http[0].match!.map(({ uri, headers }) => ({ uri, headers })), [
    { uri: { prefix: "/shop/reviews" }, headers: { a: { exact: "b" } } },
    { uri: { exact: "/store/x" }, headers: { c: {} } },
  ]);
});

Deno.test("a delegate's route that asks for what the root excludes is left out, with a warning", () => {
  const conflicts = [
    ["uri: { prefix: /shop }", "uri: { prefix: /other }"],
    ["uri: { prefix: /shop/a }", "uri: { prefix: /shop }"],
    ["uri: { exact: /shop }", "uri: { prefix: /shop }"],
    ["method: { exact: GET }", "method: { exact: POST }"],
    ["headers: { a: { exact: b } }", "headers: { a: { exact: c } }"],
    ["port: 80", "port: 81"],
    ["sourceNamespace: a", "sourceNamespace: b"],
    ["sourceLabels: { app: a }", "sourceLabels: { app: b }"],
    ["gateways: [a]", "gateways: [b]"],
    ["uri: { prefix: /a }, ignoreUriCase: true", "uri: { prefix: /a }"],
  ];
  for (const [root, delegate] of conflicts) {
    const { http, warnings } = merge(`match: [{ ${root} }]`, `{ match: [{ ${delegate} }], ${toReviews} }`);
    deepStrictEqual(http, [], `${root} / ${delegate}`);
    deepStrictEqual(warnings, [
      "http[0].delegate: http[0] of other/part asks for what the root excludes: it is left out",
    ]);
  }
});

Deno.test("a delegate that is not there, or not exported to the root's namespace, costs its route alone", () => {
  const hidden = merge("name: a", `{ ${toReviews} }`, `exportTo: ["."],`);
  deepStrictEqual(hidden.http, []);
  deepStrictEqual(hidden.warnings, [
    "http[0].delegate: other/part is not exported to namespace default: the route is left out",
  ]);
  const { virtualServices, warnings } = withDelegates(
    resources(`
kind: VirtualService
metadata: { name: root }
spec: { hosts: [a.example], http: [{ delegate: { name: gone } }, { ${toReviews} }] }
`) as VirtualService[],
    "cluster.local",
  );
  strictEqual(virtualServices[0].spec.http!.length, 1);
  strictEqual(warnings[0].message, "there is no VirtualService default/gone without hosts: the route is left out");
});

Deno.test("the same root and delegates give the same object, so that what was compiled of it still holds", () => {
  const list = resources(`
kind: VirtualService
metadata: { name: root }
spec: { hosts: [a.example], http: [{ delegate: { name: part } }] }
---
kind: VirtualService
metadata: { name: part }
spec: { http: [{ ${toReviews} }] }
`) as VirtualService[];
  const [first, second] = [1, 2].map(() => withDelegates(list, "cluster.local").virtualServices[0]);
  strictEqual(first, second);
});
