import assert from "node:assert/strict";
import { canonicalizeHost, type HostRules } from "./host.ts";

function canonical(host: string, rules: Partial<HostRules>): string {
  const bytes = new TextEncoder().encode(`<${host}>`);
  const end = canonicalizeHost(bytes, 1, bytes.length - 1, { stripTrailingDot: false, stripPort: "none", ...rules });
  return new TextDecoder().decode(bytes.subarray(1, end));
}

Deno.test("ports are left out: any, or the one that is meant", () => {
  const cases: [string, string, string][] = [
    ["reviews", "reviews", "reviews"],
    ["reviews:80", "reviews", "reviews"],
    ["reviews:8080", "reviews", "reviews:8080"],
    ["reviews80", "reviews80", "reviews80"],
    ["reviews:", "reviews:", "reviews:"],
    ["[::1]:80", "[::1]", "[::1]"],
    ["[::80]", "[::80]", "[::80]"],
    ["[::80", "[::80", "[::80"],
  ];
  for (const [host, any, matching] of cases) {
    assert.equal(canonical(host, { stripPort: "any" }), any, host);
    assert.equal(canonical(host, { stripPort: 80 }), matching, host);
    assert.equal(canonical(host, {}), host);
  }
});

Deno.test("the dot at the end of a name goes, whether a port follows or not", () => {
  const rules = { stripTrailingDot: true };
  assert.equal(canonical("reviews.example.", rules), "reviews.example");
  assert.equal(canonical("reviews.example.:80", rules), "reviews.example:80");
  assert.equal(canonical("reviews.example.:80", { ...rules, stripPort: "any" }), "reviews.example");
  assert.equal(canonical("reviews.example", rules), "reviews.example");
  assert.equal(canonical(".", rules), ".");
});
