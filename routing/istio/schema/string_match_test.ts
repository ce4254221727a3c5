import assert from "node:assert/strict";
import { re2 } from "./string_match.ts";

Deno.test("takes patterns of RE2's syntax", () => {
  for (const pattern of ["(?i)/static/.*", "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "\\pL+", "^/v[12]/(.*)$"]) {
    assert.equal(re2(pattern), undefined, pattern);
  }
});

Deno.test("refuses what RE2 has not: look-around and back references", () => {
  for (const pattern of ["(?=a)", "(?<!a)b", "(a)\\1", "a**", "(", "x{1001}"]) {
    assert.match(re2(pattern) ?? "", /regular expression of RE2/, pattern);
  }
});

Deno.test("refuses patterns that compile to huge programs", () => {
  for (const pattern of ["x{1000}".repeat(146), "(x{30}){30}".repeat(90), `(${"a".repeat(900)}){1000}`]) {
    assert.match(re2(pattern) ?? "", /repeat less/);
  }
});
