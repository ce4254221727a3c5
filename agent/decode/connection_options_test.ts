import assert from "node:assert/strict";
import { dropHopByHop, keepsAlive } from "./connection_options.ts";
import { Fields, RequestHead } from "./head.ts";
import { parseRequestHead } from "./http1/parse_head.ts";

function fieldsOf(...headers: string[]): Fields {
  const bytes = new TextEncoder().encode(["GET / HTTP/1.1", "Host: a", ...headers, "", ""].join("\r\n"));
  const head = new RequestHead(new Fields(bytes));
  assert.ok(parseRequestHead(bytes, 0, bytes.length, head) > 0);
  return head.fields;
}

const persistence: [headers: string[], http10: boolean, http11: boolean][] = [
  [[], false, true],
  [["Connection: close"], false, false],
  [["Connection: Close"], false, false],
  [["Connection: keep-alive"], true, true],
  [["Connection: Keep-Alive"], true, true],
  [["Connection: x, close"], false, false],
  [["Connection: keep-alive, close"], false, false],
  [["Connection: keep-alive", "Connection: close"], false, false],
  [["Connection:,, ,close,"], false, false],
  [["Connection: closed"], false, true],
  [["Connection: not-close"], false, true],
  [["Connection:"], false, true],
];

for (const [headers, http10, http11] of persistence) {
  Deno.test(`persistence with ${JSON.stringify(headers)}`, () => {
    assert.equal(keepsAlive(fieldsOf(...headers), 0), http10, "HTTP/1.0");
    assert.equal(keepsAlive(fieldsOf(...headers), 1), http11, "HTTP/1.1");
  });
}

function kept(fields: Fields): string[] {
  const names: string[] = [];
  for (let i = 0; i < fields.count; i++) {
    if (fields.dropped[i] !== 0) continue;
    names.push(new TextDecoder().decode(fields.bytes.subarray(fields.nameStart(i), fields.nameEnd(i))));
  }
  return names;
}

Deno.test("fields of one hop are dropped, whatever Connection says", () => {
  const fields = fieldsOf(
    "Keep-Alive: timeout=5",
    "Proxy-Connection: keep-alive",
    "Transfer-Encoding: chunked",
    "Content-Length: 5",
    "Upgrade: h2c",
    "TE: trailers",
    "Trailer: X",
    "X-Other: stays",
  );
  dropHopByHop(fields);
  assert.deepEqual(kept(fields), ["host", "trailer", "x-other"]);
});

Deno.test("fields that Connection nominates are dropped, each occurrence, in any case", () => {
  const fields = fieldsOf(
    "X-Secret: 1",
    "Connection: close, x-SECRET",
    "Connection: x-b",
    "X-B: 2",
    "x-secret: 3",
    "X-C: 4",
  );
  dropHopByHop(fields);
  assert.deepEqual(kept(fields), ["host", "x-c"]);
});
