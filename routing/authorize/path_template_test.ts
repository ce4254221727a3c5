import { strictEqual } from "node:assert/strict";
import { envoyTemplate, fitsTemplate, fromEnvoyTemplate, parsePathTemplate } from "./path_template.ts";

/** From Istio's documentation of AuthorizationPolicy's paths, and around it. */
const cases: [string, string, boolean][] = [
  ["/foo/{*}", "/foo/bar", true],
  ["/foo/{*}", "/foo/bar/baz", false],
  ["/foo/{*}", "/foo/", false],
  ["/foo/{*}", "/foo", false],
  ["/foo/{**}/", "/foo/bar/", true],
  ["/foo/{**}/", "/foo/bar/baz.txt/", true],
  ["/foo/{**}/", "/foo//", true],
  ["/foo/{**}/", "/foo/bar", false],
  ["/foo/{*}/bar/{**}/", "/foo/buzz/bar/", false],
  ["/foo/{*}/bar/{**}/", "/foo/buzz/bar/x/", true],
  ["/foo/{*}/bar/{**}/", "/foo/bar/bar", false],
  ["/{**}", "/", true],
  ["/{**}", "/a/b", true],
  ["/a/{**}/b", "/a/x/y/b", true],
  ["/a/{**}/b", "/a/b", false],
  ["/{*}/b", "/x/b", true],
  ["/{*}/b", "//b", false],
];

Deno.test("templates fit whole segments", () => {
  for (const [template, path, expected] of cases) {
    const parsed = parsePathTemplate(template);
    strictEqual(parsed !== null && fitsTemplate(parsed, path), expected, `${template} ${path}`);
    const fromEnvoy = fromEnvoyTemplate(envoyTemplate(template))!;
    strictEqual(fitsTemplate(fromEnvoy, path), expected, `by Envoy's spelling: ${template} ${path}`);
  }
});

Deno.test("what Istio refuses is no template", () => {
  for (
    const text of ["/*/baz/{*}", "/**/baz/{*}", "/{**}/foo/{*}", "/foo/{*}.txt", "foo/{*}", "/a/{b}", "/{**}/{**}"]
  ) {
    strictEqual(parsePathTemplate(text), null, text);
  }
});
