import assert from "node:assert/strict";
import fc from "fast-check";
import { BodyKind, BodyReader } from "./framing.ts";
import { Fields, RequestHead, ResponseHead } from "./head.ts";
import { parseRequestHead, parseResponseHead, ParseResult } from "./http1/parse_head.ts";

const { badRequest, notImplemented } = ParseResult;

function latin1Bytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function request(headers: string[], version = "1.1"): { problem: number; body: BodyReader } {
  const bytes = latin1Bytes(["POST / HTTP/" + version, "Host: a", ...headers, "", ""].join("\r\n"));
  const head = new RequestHead(new Fields(bytes));
  assert.equal(parseRequestHead(bytes, 0, bytes.length, head), bytes.length);
  const body = new BodyReader();
  return { problem: body.startRequest(head), body };
}

function response(status: number, headers: string[], toHead = false, version = "1.1") {
  const bytes = latin1Bytes([`HTTP/${version} ${status} X`, ...headers, "", ""].join("\r\n"));
  const head = new ResponseHead(new Fields(bytes));
  assert.equal(parseResponseHead(bytes, 0, bytes.length, head), bytes.length);
  const body = new BodyReader();
  return { problem: body.startResponse(head, toHead), body };
}

const requestFramings: [headers: string[], version: string, expected: number | [kind: number, length: number]][] = [
  [[], "1.1", [BodyKind.none, 0]],
  [["Content-Length: 0"], "1.1", [BodyKind.length, 0]],
  [["Content-Length: 5"], "1.0", [BodyKind.length, 5]],
  [["Content-Length: 0005"], "1.1", [BodyKind.length, 5]],
  [["Content-Length: 9007199254740991"], "1.1", [BodyKind.length, 2 ** 53 - 1]],
  [["Transfer-Encoding: chunked"], "1.1", [BodyKind.chunked, 0]],
  [["Transfer-Encoding: CHUNKED"], "1.1", [BodyKind.chunked, 0]],
  [["Content-Length: 9007199254740992"], "1.1", badRequest],
  [["Content-Length: 99999999999999999999"], "1.1", badRequest],
  [["Content-Length: +5"], "1.1", badRequest],
  [["Content-Length: -5"], "1.1", badRequest],
  [["Content-Length: 0x5"], "1.1", badRequest],
  [["Content-Length: 5 5"], "1.1", badRequest],
  [["Content-Length: 5,5"], "1.1", badRequest],
  [["Content-Length: 5.0"], "1.1", badRequest],
  [["Content-Length: 5e0"], "1.1", badRequest],
  [["Content-Length: five"], "1.1", badRequest],
  [["Content-Length:"], "1.1", badRequest],
  [["Content-Length: \xb2"], "1.1", badRequest],
  [["Content-Length: 5", "Content-Length: 5"], "1.1", badRequest],
  [["Content-Length: 5", "content-length: 6"], "1.1", badRequest],
  [["Content-Length: 5", "Transfer-Encoding: chunked"], "1.1", badRequest],
  [["Transfer-Encoding: chunked", "Content-Length: 5"], "1.1", badRequest],
  [["Transfer-Encoding: identity", "Content-Length: 5"], "1.1", badRequest],
  [["Transfer-Encoding: chunked"], "1.0", badRequest],
  [["Transfer-Encoding: identity"], "1.1", notImplemented],
  [["Transfer-Encoding: gzip, chunked"], "1.1", notImplemented],
  [["Transfer-Encoding: chunked, chunked"], "1.1", notImplemented],
  [["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], "1.1", notImplemented],
  [["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], "1.1", notImplemented],
  [["Transfer-Encoding: xchunked"], "1.1", notImplemented],
  [["Transfer-Encoding: chunked;q=1"], "1.1", notImplemented],
  [['Transfer-Encoding: "chunked"'], "1.1", notImplemented],
  [["Transfer-Encoding:"], "1.1", notImplemented],
  [["Transfer-Encoding: chun\tked"], "1.1", notImplemented],
  [["Content_Length: 5"], "1.1", badRequest],
  [["Transfer_Encoding: chunked"], "1.1", badRequest],
];

for (const [headers, version, expected] of requestFramings) {
  const said = typeof expected === "number" ? `refuses (${-expected})` : `frames (${expected})`;
  Deno.test(`${said} a request of HTTP/${version} with ${JSON.stringify(headers)}`, () => {
    const { problem, body } = request(headers, version);
    if (typeof expected === "number") assert.equal(problem, expected);
    else assert.deepEqual([problem, body.kind, body.length], [0, ...expected]);
  });
}

const responseFramings: [status: number, headers: string[], toHead: boolean, version: string, kind: number][] = [
  [200, [], false, "1.1", BodyKind.untilClose],
  [200, [], true, "1.1", BodyKind.none],
  [200, ["Content-Length: 5"], false, "1.1", BodyKind.length],
  [200, ["Content-Length: 5"], true, "1.1", BodyKind.none],
  [204, ["Content-Length: 5"], false, "1.1", BodyKind.none],
  [304, ["Content-Length: 5"], false, "1.1", BodyKind.none],
  [304, ["Transfer-Encoding: chunked"], false, "1.1", BodyKind.none],
  [200, ["Transfer-Encoding: chunked"], false, "1.1", BodyKind.chunked],
  [200, ["Transfer-Encoding: chunked"], true, "1.1", BodyKind.none],
  [200, ["Transfer-Encoding: chunked"], false, "1.0", badRequest],
  [200, ["Transfer-Encoding: chunked", "Content-Length: 5"], false, "1.1", badRequest],
  [200, ["Transfer-Encoding: gzip"], false, "1.1", badRequest],
  [200, ["Content-Length: 5", "Content-Length: 5"], false, "1.1", badRequest],
  [200, ["Content-Length: 5x"], false, "1.1", badRequest],
  [200, ["Content_Length: 5"], false, "1.1", badRequest],
];

for (const [status, headers, toHead, version, expected] of responseFramings) {
  const asked = toHead ? " to HEAD" : "";
  Deno.test(`frames a response ${status}${asked} of HTTP/${version} with ${JSON.stringify(headers)}`, () => {
    const { problem, body } = response(status, headers, toHead, version);
    if (expected < 0) assert.equal(problem, expected);
    else assert.deepEqual([problem, body.kind], [0, expected]);
  });
}

/** Feeds a chunked body in pieces of the given sizes; the data, the bytes taken and whether it is over. */
function readChunked(encoded: Uint8Array, pieces: number[]): { data: string; taken: number; result: string } {
  const { body } = request(["Transfer-Encoding: chunked"]);
  let data = "";
  let arrived = 0;
  let position = 0;
  for (let round = 0; arrived < encoded.length && !body.done; round++) {
    arrived = Math.min(encoded.length, arrived + (pieces[round % pieces.length] || 1));
    while (position < arrived && !body.done) {
      const next = body.next(encoded, position, arrived);
      if (next < 0) return { data, taken: position, result: "refused" };
      assert.ok(next > position && next <= arrived, "goes on and stays within bounds");
      for (let i = body.dataStart; i < body.dataEnd; i++) data += String.fromCharCode(encoded[i]);
      position = next;
    }
  }
  return { data, taken: position, result: body.done ? "done" : "more" };
}

const chunkedBodies: [name: string, encoded: string, expected: string | null][] = [
  ["no data", "0\r\n\r\n", ""],
  ["one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello"],
  ["upper and lower case sizes", "a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n", "01234567890123456789a"],
  ["leading zeros", "0005\r\nhello\r\n000\r\n\r\n", "hello"],
  ["extensions", '5;a=b;c="d"\r\nhello\r\n0;e\r\n\r\n', "hello"],
  ["space before an extension", "5 \t;a\r\nhello\r\n0\r\n\r\n", "hello"],
  ["trailers", "5\r\nhello\r\n0\r\nX: y\r\nZ:\r\n\r\n", "hello"],
  ["line ends in the data", "4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"],
  ["no size", "\r\nhello\r\n0\r\n\r\n", null],
  ["a size with a prefix", "0x5\r\nhello\r\n0\r\n\r\n", null],
  ["a negative size", "-5\r\nhello\r\n0\r\n\r\n", null],
  ["a signed size", "+5\r\nhello\r\n0\r\n\r\n", null],
  ["a size beyond 2^53 - 1", "20000000000000\r\n", null],
  ["a size that wraps at 64 bits", "10000000000000005\r\nhello", null],
  ["many leading zeros", "0".repeat(20) + "5\r\nhello\r\n0\r\n\r\n", null],
  ["a bare LF behind the size", "5\nhello\r\n0\r\n\r\n", null],
  ["a bare CR behind the size", "5\rhello\r\n0\r\n\r\n", null],
  ["a bare LF behind the data", "5\r\nhello\n0\r\n\r\n", null],
  ["data longer than its size", "4\r\nhello\r\n0\r\n\r\n", null],
  ["data shorter than its size", "6\r\nhello\r\n0\r\n\r\n", null],
  ["a space before the line end", "5 \r\nhello\r\n0\r\n\r\n", null],
  ["a space before the size", " 5\r\nhello\r\n0\r\n\r\n", null],
  ["a bare LF in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n", null],
  ["a bare CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n", null],
  ["NUL in an extension", "5;a\0\r\nhello\r\n0\r\n\r\n", null],
  ["a long extension", `5;${"a".repeat(300)}\r\nhello\r\n0\r\n\r\n`, null],
  ["long trailers", `0\r\n${"X: y\r\n".repeat(2000)}\r\n`, null],
  ["a trailer without a colon", "0\r\nnonsense\r\n\r\n", null],
  ["a folded trailer", "0\r\nX: y\r\n z\r\n\r\n", null],
  ["a trailer with an empty name", "0\r\n: y\r\n\r\n", null],
  ["a trailer with a space before the colon", "0\r\nX : y\r\n\r\n", null],
  ["a bare LF at the end", "0\r\n\n", null],
  ["a bare CR at the end", "0\r\n\rX", null],
];

for (const [name, encoded, expected] of chunkedBodies) {
  Deno.test(`${expected === null ? "refuses" : "reads"} a chunked body with ${name}`, () => {
    const { data, taken, result } = readChunked(latin1Bytes(encoded + "GET"), [encoded.length + 3]);
    if (expected === null) return assert.equal(result, "refused");
    assert.deepEqual({ data, taken, result }, { data: expected, taken: encoded.length, result: "done" });
  });
}

const chunks = fc.array(fc.string({ minLength: 1, maxLength: 40, unit: "binary-ascii" }), { maxLength: 6 });

Deno.test("a chunked body gives the same data however it is cut", () => {
  fc.assert(
    fc.property(chunks, fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 10 }), (list, pieces) => {
      const encoded = list.map((text) => `${text.length.toString(16)}\r\n${text}\r\n`).join("") + "0\r\nA: b\r\n\r\n";
      const read = readChunked(latin1Bytes(encoded + "rest"), pieces);
      assert.deepEqual(read, { data: list.join(""), taken: encoded.length, result: "done" });
    }),
    { numRuns: 500 },
  );
});

Deno.test("a malformed chunked body is refused however it is cut", () => {
  for (const [name, encoded, expected] of chunkedBodies) {
    if (expected !== null) continue;
    for (const size of [1, 2, 3, 7]) {
      assert.equal(readChunked(latin1Bytes(encoded + "GET"), [size]).result, "refused", name);
    }
  }
});

Deno.test("no bytes make the reading of chunks throw, stand still, or leave its bounds", () => {
  const noise = fc.oneof(
    fc.uint8Array({ maxLength: 100 }),
    fc.array(fc.constantFrom("0", "5", "f", ";", "\r\n", "\r", "\n", "hello", " ", "A: b", "\0"), { maxLength: 25 })
      .map((list) => latin1Bytes(list.join(""))),
  );
  fc.assert(
    fc.property(noise, fc.integer({ min: 1, max: 20 }), (bytes, piece) => {
      readChunked(bytes, [piece]);
    }),
    { numRuns: 3000 },
  );
});

Deno.test("a body with a length takes that many bytes and no more", () => {
  const { body } = request(["Content-Length: 5"]);
  const bytes = latin1Bytes("helloGET");
  assert.equal(body.next(bytes, 0, 3), 3);
  assert.deepEqual([body.dataStart, body.dataEnd, body.done], [0, 3, false]);
  assert.equal(body.next(bytes, 3, 8), 5);
  assert.deepEqual([body.dataStart, body.dataEnd, body.done], [3, 5, true]);
});

Deno.test("a body until the end of the connection takes everything and is never done", () => {
  const { body } = response(200, []);
  assert.equal(body.next(latin1Bytes("hello"), 0, 5), 5);
  assert.deepEqual([body.dataStart, body.dataEnd, body.done], [0, 5, false]);
});
