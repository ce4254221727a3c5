import { equal } from "node:assert/strict";
import { inspectHttp } from "./http_inspector.ts";

const cases: [string, string][] = [
  ["GET / HTTP/1.1\r\nHost: a\r\n", "http/1.1"],
  ["POST /a?b HTTP/1.0\r\n", "http/1.1"],
  ["M-SEARCH * HTTP/1.1\n", "http/1.1"],
  ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0", "h2c"],
  ["PRI * HT", "undecided"],
  ["", "undecided"],
  ["GET", "undecided"],
  ["GET / HTTP/1.1", "undecided"],
  ["GET key\r\n", ""],
  ["GET / HTTP/1.12\r\n", ""],
  ["get / HTTP/1.1\r\n", ""],
  ["\x16\x03\x01", ""],
  ["GET /\x01 HTTP/1.1\r\n", ""],
  [`GET /${"a".repeat(20_000)}`, ""],
  [`${"A".repeat(33)}`, ""],
  ["PRI * HTTP/3.0\r\n\r\n", ""],
];

Deno.test("HTTP is told from other protocols by how a connection begins", () => {
  for (const [text, expected] of cases) {
    const bytes = new TextEncoder().encode(text);
    equal(inspectHttp(bytes, bytes.length), expected, JSON.stringify(text.slice(0, 40)));
  }
});
