import assert from "node:assert/strict";
import { ascii } from "../decode/characters.ts";
import { HostTable } from "./host_table.ts";

function find(domains: string[], authority: string): string | null {
  const table = new HostTable(domains.map((domain) => ({ domain, value: domain })));
  const bytes = ascii(`<${authority}>`);
  return table.find(bytes, 1, bytes.length - 1);
}

const domains = [
  "*",
  "*.example",
  "*.b.example",
  "a.b.example",
  "reviews",
  "reviews:9080",
  "re*",
  "reviews.*",
  "[::1]:80",
];

const cases: [authority: string, expected: string][] = [
  ["a.b.example", "a.b.example"],
  ["x.b.example", "*.b.example"],
  ["x.y.b.example", "*.b.example"],
  ["b.example", "*.example"],
  [".example", "*"],
  ["example", "*"],
  ["reviews", "reviews"],
  ["reviews:9080", "reviews:9080"],
  ["reviews:9081", "re*"],
  ["reviews.default", "reviews.*"],
  ["reviews.", "reviews"],
  ["reviews.:9080", "reviews:9080"],
  ["a.b.example.", "a.b.example"],
  ["re", "*"],
  ["rex", "re*"],
  ["reviews.example", "*.example"],
  ["[::1]:80", "[::1]:80"],
  ["", "*"],
  [".", "*"],
  ["..", "*"],
  [":80", "*"],
];

for (const [authority, expected] of cases) {
  Deno.test(`authority ${JSON.stringify(authority)} belongs to ${expected}`, () => {
    assert.equal(find(domains, authority), expected);
    assert.equal(find([...domains].reverse(), authority), expected);
  });
}

Deno.test("without a catch-all an unknown authority belongs to nobody", () => {
  assert.equal(find(["a", "*.b", "c.*"], "d"), null);
  assert.equal(find([], "d"), null);
});

Deno.test("a dot at the end does not get around a wildcard", () => {
  assert.equal(find(["*", "*.b.example"], "x.b.example."), "*.b.example");
  assert.equal(find(["*", "*.b.example"], "x.b.example.:80"), find(["*", "*.b.example"], "x.b.example:80"));
});

Deno.test("configured names are compared in any case", () =>
  assert.equal(find(["Reviews.Example"], "reviews.example"), "Reviews.Example"));

Deno.test("many names are all found", () => {
  const names = Array.from({ length: 2000 }, (_, i) => `service-${i}.default.svc.cluster.local`);
  const table = new HostTable(names.map((domain) => ({ domain, value: domain })));
  for (const name of names) assert.equal(table.find(ascii(name), 0, name.length), name);
});
