import assert from "node:assert/strict";
import fc from "fast-check";
import { canonicalizePath, type PathRules, REFUSED } from "./path.ts";

const base: PathRules = { normalize: true, mergeSlashes: false, escapedSlashes: "keep" };
const merge: PathRules = { ...base, mergeSlashes: true };
const decode: PathRules = { ...merge, escapedSlashes: "forward" };

function canonical(path: string, rules: PathRules): string | null {
  const bytes = new TextEncoder().encode(`?${path}?`);
  const end = canonicalizePath(bytes, 1, bytes.length - 1, rules);
  return end === REFUSED ? null : new TextDecoder().decode(bytes.subarray(1, end));
}

const cases: [given: string, base: string | null, merged?: string, decoded?: string][] = [
  ["/", "/"],
  ["/a/b.c;d=e", "/a/b.c;d=e"],
  ["*", "*"],
  ["/a/./b", "/a/b"],
  ["/a/../b", "/b"],
  ["/../../a", "/a"],
  ["/a/b/..", "/a/"],
  ["/a/.", "/a/"],
  ["/..", "/"],
  ["/...", "/..."],
  ["/.a/..b/c.", "/.a/..b/c."],
  ["/a/%2e%2E/b", "/b"],
  ["/a/.%2e/b", "/b"],
  ["/a/%2e/b", "/a/b"],
  ["/a%2eb", "/a.b"],
  ["/a\\b", "/a/b"],
  ["/a\\..\\b", "/b"],
  ["/%41%7e%2d", "/A~-"],
  ["/%3B%2a%7B", "/%3B%2a%7B"],
  ["//a///b", "//a///b", "/a/b"],
  ["/a//../b", "/a/b"],
  ["//", "//", "/"],
  ["/a%2Fb", "/a%2Fb", "/a%2Fb", "/a/b"],
  ["/a%2f..%5Cb", "/a%2f..%5Cb", "/a%2f..%5Cb", "/b"],
  ["/a%5c%2e%2e%2fb", "/a%5c..%2fb", "/a%5c..%2fb", "/b"],
  ["/a%2f%2fb", "/a%2f%2fb", "/a%2f%2fb", "/a/b"],
  ["/%252e%252e/a", "/%252e%252e/a"],
  ["/%252fa", "/%252fa"],
  ["/%%32%65%%32e/a", "/%%32e%%32e/a"],
  ["/%", "/%"],
  ["/%4", "/%4"],
  ["/%zz", "/%zz"],
  ["/a%00b", null],
  ["/%2e%2e%00", null],
];

for (const [given, normalized, merged = normalized, decoded = merged] of cases) {
  Deno.test(`the path ${given} is ${normalized ?? "refused"}`, () => {
    assert.equal(canonical(given, base), normalized);
    assert.equal(canonical(given, merge), merged);
    assert.equal(canonical(given, decode), decoded);
    assert.equal(canonical(given, { normalize: false, mergeSlashes: false, escapedSlashes: "keep" }), given);
  });
}

Deno.test("escaped slashes are refused where the rules say so", () => {
  const rules: PathRules = { ...base, escapedSlashes: "reject" };
  for (const path of ["/a%2fb", "/a%2F", "/%5c", "/a%5Cb"]) assert.equal(canonical(path, rules), null);
  assert.equal(canonical("/a%25", rules), "/a%25");
});

const pieces = ["/", "\\", ".", "..", "%2e", "%2E", "%2f", "%5C", "%", "%25", "2", "e", "a", "%61", ";", "%3b", "%32"];
const paths = fc.array(fc.constantFrom(...pieces), { maxLength: 14 }).map((list) => "/" + list.join(""));

Deno.test("a canonical path stays what it is, and has no dot segment, backslash or encoded letter", () => {
  fc.assert(fc.property(paths, fc.constantFrom(base, merge), (path, rules) => {
    const once = canonical(path, rules)!;
    assert.equal(canonical(once, rules), once);
    assert.doesNotMatch(once, /\\|\/\.\.?(\/|$)/);
    if (rules.mergeSlashes) assert.doesNotMatch(once, /\/\//);
    assert.ok(once.startsWith("/") && once.length <= path.length);
  }));
});

Deno.test("whichever way dots, slashes and letters are spelt, the path is one", () => {
  const spellings: Record<string, string[]> = {
    "/": ["/", "\\", "%2f", "%5C"],
    ".": [".", "%2e", "%2E"],
    a: ["a", "%61"],
  };
  const spelt = fc.array(
    fc.constantFrom("/", ".", "a").chain((plain) =>
      fc.constantFrom(...spellings[plain]).map((spelling) => ({ plain, spelling }))
    ),
    { maxLength: 12 },
  );
  fc.assert(fc.property(spelt, (list) => {
    const plain = "/" + list.map((each) => each.plain).join("");
    assert.equal(canonical("/" + list.map((each) => each.spelling).join(""), decode), canonical(plain, decode));
  }));
});
