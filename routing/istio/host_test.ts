import assert from "node:assert/strict";
import { hostMatches, resolveHost } from "./host.ts";

Deno.test("makes short names whole and leaves all others", () => {
  assert.equal(resolveHost("reviews", "default", "cluster.local"), "reviews.default.svc.cluster.local");
  for (const host of ["reviews.default", "example.com", "*", "*.example.com", "10.0.0.1", "::1", ""]) {
    assert.equal(resolveHost(host, "default", "cluster.local"), host);
  }
});

Deno.test("hosts match where they can mean the same name, in either order", () => {
  const cases: [string, string, boolean][] = [
    ["a.com", "a.com", true],
    ["a.com", "b.com", false],
    ["*", "a.com", true],
    ["*", "*.com", true],
    ["*.com", "a.com", true],
    ["*.com", "a.b.com", true],
    ["*.b.com", "*.com", true],
    ["*.com", "com", false],
    ["*.a.com", "*.b.com", false],
    ["*.a.com", "b.com", false],
  ];
  for (const [one, other, expected] of cases) {
    assert.equal(hostMatches(one, other), expected, `${one} ${other}`);
    assert.equal(hostMatches(other, one), expected, `${other} ${one}`);
  }
});
