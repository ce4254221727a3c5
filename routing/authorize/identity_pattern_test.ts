import { deepStrictEqual, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { RE2JS } from "re2js";
import { fitsIdentity, identityOfRegex, identityRegex, identitySegments } from "./identity_pattern.ts";

const any = { trustDomain: "*", namespace: "*", serviceAccount: "*" };
const caller = identitySegments("spiffe://cluster.local/ns/prod-eu/sa/reviews")!;

Deno.test("only ids of Istio's form have segments", () => {
  deepStrictEqual(caller, { trustDomain: "cluster.local", namespace: "prod-eu", serviceAccount: "reviews" });
  for (
    const other of [
      "",
      "spiffe://cluster.local",
      "spiffe://cluster.local/ns/a/sa/b/c",
      "spiffe://cluster.local/x/ns/a/sa/b",
      "spiffe://cluster.local/ns//sa/b",
      "https://cluster.local/ns/a/sa/b",
    ]
  ) strictEqual(identitySegments(other), null, other);
});

const cases: [Partial<typeof any>, boolean][] = [
  [{}, true],
  [{ namespace: "prod-eu" }, true],
  [{ namespace: "prod-e" }, false],
  [{ namespace: "prod-*" }, true],
  [{ namespace: "*-eu" }, true],
  [{ namespace: "p*u" }, true],
  [{ namespace: "prod-eu*prod-eu" }, false],
  [{ namespace: "prod.eu" }, false],
  [{ namespace: "prod-eu|shop" }, false],
  [{ namespace: ".*" }, false],
  [{ namespace: "prod-eu/sa/reviews" }, false],
  [{ trustDomain: "cluster*" }, true],
  [{ trustDomain: "clusterXlocal" }, false],
  [{ serviceAccount: "reviews", namespace: "other" }, false],
];

Deno.test("patterns hold for whole segments, and every character but * stands for itself", () => {
  for (const [pattern, expected] of cases) {
    strictEqual(fitsIdentity({ ...any, ...pattern }, caller), expected, JSON.stringify(pattern));
  }
});

Deno.test("the expression for a stock Envoy says the same as the segments, and is read back as them", () => {
  const segment = fc.string({ unit: fc.constantFrom("a", "b", ".", "*", "-", "|", "(", "\\", "[", "$"), maxLength: 6 });
  const text = fc.string({ unit: fc.constantFrom("a", "b", ".", "-"), minLength: 1, maxLength: 6 });
  fc.assert(fc.property(segment, segment, segment, text, text, text, (a, b, c, x, y, z) => {
    const pattern = { trustDomain: a, namespace: b, serviceAccount: c };
    const regex = identityRegex(pattern);
    deepStrictEqual(identityOfRegex(regex), pattern);
    const identity = { trustDomain: x, namespace: y, serviceAccount: z };
    const matches = RE2JS.compile(regex).matches(`spiffe://${x}/ns/${y}/sa/${z}`);
    strictEqual(matches, fitsIdentity(pattern, identity));
  }));
});

Deno.test("other expressions stay expressions", () => {
  for (const regex of [".+", "spiffe://.*/ns/a/sa/b", "spiffe://a/ns/b", "spiffe://a/ns/b/sa/[^/]+", "x"]) {
    strictEqual(identityOfRegex(regex), null, regex);
  }
});
