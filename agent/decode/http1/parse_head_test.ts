import assert from "node:assert/strict";
import fc from "fast-check";
import { Fields, RequestHead, ResponseHead } from "../head.ts";
import { parseRequestHead, parseResponseHead, ParseResult } from "./parse_head.ts";

const { needMore, badRequest, headersTooLarge, versionNotSupported } = ParseResult;

function latin1Bytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function parseRequest(text: string): { result: number; head: RequestHead } {
  const bytes = latin1Bytes(text);
  const head = new RequestHead(new Fields(bytes));
  return { result: parseRequestHead(bytes, 0, bytes.length, head), head };
}

function parseResponse(text: string): { result: number; head: ResponseHead } {
  const bytes = latin1Bytes(text);
  const head = new ResponseHead(new Fields(bytes));
  return { result: parseResponseHead(bytes, 0, bytes.length, head), head };
}

function describe(head: RequestHead): unknown {
  const { fields } = head;
  return {
    method: head.method,
    path: head.path,
    query: head.queryStart - head.pathStart,
    authority: head.authority,
    minor: head.minorVersion,
    fields: Array.from({ length: fields.count }, (_, i) => [
      new TextDecoder("latin1").decode(fields.bytes.subarray(fields.nameStart(i), fields.nameEnd(i))),
      fields.value(i),
      fields.ids[i],
    ]),
  };
}

const good: { text: string; method: string; path: string; authority: string }[] = [
  { text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", method: "GET", path: "/", authority: "a" },
  {
    text: "\r\nGET /x?y=z HTTP/1.1\r\nHost: A.Example:80\r\n\r\n",
    method: "GET",
    path: "/x?y=z",
    authority: "a.example:80",
  },
  { text: "GET / HTTP/1.0\r\n\r\n", method: "GET", path: "/", authority: "" },
  { text: "get / HTTP/1.1\r\nHost:a\r\n\r\n", method: "get", path: "/", authority: "a" },
  {
    text: "M-SEARCH /%41//b/../c HTTP/1.1\r\nhost: \t a \t\r\n\r\n",
    method: "M-SEARCH",
    path: "/%41//b/../c",
    authority: "a",
  },
  { text: "GET http://A.b/c?d HTTP/1.1\r\nHost: a.B\r\n\r\n", method: "GET", path: "/c?d", authority: "a.b" },
  { text: "GET HTTPS://a.b HTTP/1.1\r\nHost: a.b\r\n\r\n", method: "GET", path: "/", authority: "a.b" },
  { text: "GET http://a.b/ HTTP/1.0\r\n\r\n", method: "GET", path: "/", authority: "a.b" },
  { text: "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", method: "OPTIONS", path: "*", authority: "a" },
  { text: "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", method: "CONNECT", path: "", authority: "a:443" },
  { text: "GET / HTTP/1.1\r\nHost: [::1]:80\r\nX: \xe4\xff\r\n\r\n", method: "GET", path: "/", authority: "[::1]:80" },
  { text: "GET / HTTP/1.1\r\nHost: a\r\nX-Empty:\r\n\r\n", method: "GET", path: "/", authority: "a" },
];

for (const { text, method, path, authority } of good) {
  Deno.test(`reads the request head ${JSON.stringify(text)}`, () => {
    const { result, head } = parseRequest(text);
    assert.equal(result, text.length);
    assert.deepEqual([head.method, head.path, head.authority], [method, path, authority]);
  });
}

const h = "Host: a\r\n";
const badRequests: [name: string, text: string, result: number][] = [
  ["no target", `GET HTTP/1.1\r\n${h}\r\n`, badRequest],
  ["HTTP/0.9", "GET /\r\n", badRequest],
  ["two spaces before the target", `GET  / HTTP/1.1\r\n${h}\r\n`, badRequest],
  ["two spaces before the version", `GET /  HTTP/1.1\r\n${h}\r\n`, badRequest],
  ["a space at the start", ` GET / HTTP/1.1\r\n${h}\r\n`, badRequest],
  ["a tab for a space", `GET\t/ HTTP/1.1\r\n${h}\r\n`, badRequest],
  ["a method that is no token", `GE(T / HTTP/1.1\r\n${h}\r\n`, badRequest],
  ["a method without end", "A".repeat(100), badRequest],
  ["a fragment", `GET /a#b HTTP/1.1\r\n${h}\r\n`, badRequest],
  ["a control byte in the target", `GET /a\x01 HTTP/1.1\r\n${h}\r\n`, badRequest],
  ["NUL in the target", `GET /a\0 HTTP/1.1\r\n${h}\r\n`, badRequest],
  ["a byte beyond ASCII in the target", `GET /\xe4 HTTP/1.1\r\n${h}\r\n`, badRequest],
  ["a relative target", `GET a HTTP/1.1\r\n${h}\r\n`, badRequest],
  ["an unknown scheme", `GET ftp://a/ HTTP/1.1\r\n${h}\r\n`, badRequest],
  ["an authority other than Host's", `GET http://b/ HTTP/1.1\r\n${h}\r\n`, badRequest],
  ["an authority whose port Host lacks", `GET http://a:80/ HTTP/1.1\r\n${h}\r\n`, badRequest],
  ["user information", `GET http://u@a/ HTTP/1.1\r\nHost: u@a\r\n\r\n`, badRequest],
  ["an empty authority", `GET http:/// HTTP/1.1\r\nHost:\r\n\r\n`, badRequest],
  ["lower-case http", `GET / http/1.1\r\n${h}\r\n`, badRequest],
  ["HTTP/1.1 with more digits", `GET / HTTP/1.10\r\n${h}\r\n`, badRequest],
  ["a bare LF behind the request line", `GET / HTTP/1.1\nHost: a\r\n\r\n`, badRequest],
  ["HTTP/2.0", `GET / HTTP/2.0\r\n${h}\r\n`, versionNotSupported],
  ["HTTP/1.2", `GET / HTTP/1.2\r\n${h}\r\n`, versionNotSupported],
  ["HTTP/0.9 by name", `GET / HTTP/0.9\r\n${h}\r\n`, versionNotSupported],
  ["HTTP/9.9", `GET / HTTP/9.9\r\n${h}\r\n`, versionNotSupported],
  ["no Host", "GET / HTTP/1.1\r\nX: y\r\n\r\n", badRequest],
  ["two Hosts", `GET / HTTP/1.1\r\n${h}${h}\r\n`, badRequest],
  ["two Hosts on HTTP/1.0", `GET / HTTP/1.0\r\n${h}${h}\r\n`, badRequest],
  ["a slash in Host", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", badRequest],
  ["a space in Host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", badRequest],
  ["a bare LF behind a field", `GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n`, badRequest],
  ["a bare LF for the empty line", `GET / HTTP/1.1\r\n${h}\n`, badRequest],
  ["a bare CR in a value", `GET / HTTP/1.1\r\n${h}X: a\rb\r\n\r\n`, badRequest],
  ["CR CR LF", `GET / HTTP/1.1\r\n${h}X: a\r\r\n\r\n`, badRequest],
  ["an obsolete fold", `GET / HTTP/1.1\r\n${h}X: a\r\n b\r\n\r\n`, badRequest],
  ["a fold with a tab", `GET / HTTP/1.1\r\n${h}X: a\r\n\tb\r\n\r\n`, badRequest],
  ["a fold at the first field", `GET / HTTP/1.1\r\n ${h}\r\n`, badRequest],
  ["a space before the colon", `GET / HTTP/1.1\r\nHost : a\r\n\r\n`, badRequest],
  ["a tab before the colon", `GET / HTTP/1.1\r\n${h}X\t: a\r\n\r\n`, badRequest],
  ["an empty name", `GET / HTTP/1.1\r\n${h}: a\r\n\r\n`, badRequest],
  ["a name that is no token", `GET / HTTP/1.1\r\n${h}X[: a\r\n\r\n`, badRequest],
  ["a name beyond ASCII", `GET / HTTP/1.1\r\n${h}\xe4: a\r\n\r\n`, badRequest],
  ["NUL in a name", `GET / HTTP/1.1\r\n${h}X\0Y: a\r\n\r\n`, badRequest],
  ["NUL in a value", `GET / HTTP/1.1\r\n${h}X: a\0b\r\n\r\n`, badRequest],
  ["a control byte in a value", `GET / HTTP/1.1\r\n${h}X: a\x0bb\r\n\r\n`, badRequest],
  ["DEL in a value", `GET / HTTP/1.1\r\n${h}X: a\x7f\r\n\r\n`, badRequest],
  ["a line without a colon", `GET / HTTP/1.1\r\n${h}nonsense\r\n\r\n`, badRequest],
  ["101 fields", `GET / HTTP/1.1\r\n${h}${"X: y\r\n".repeat(100)}\r\n`, headersTooLarge],
];

for (const [name, text, expected] of badRequests) {
  Deno.test(`refuses a request head with ${name}`, () => assert.equal(parseRequest(text).result, expected));
}

Deno.test("bears a request head with 100 fields", () => {
  const text = `GET / HTTP/1.1\r\n${h}${"X: y\r\n".repeat(99)}\r\n`;
  assert.equal(parseRequest(text).result, text.length);
});

const responses: [text: string, status: number][] = [
  ["HTTP/1.1 200 OK\r\n\r\n", 200],
  ["HTTP/1.0 404 \r\nA: b\r\n\r\n", 404],
  ["HTTP/1.1 204\r\n\r\n", 204],
  ["HTTP/1.1 999 Odd \xe4 reason\r\n\r\n", 999],
];

for (const [text, status] of responses) {
  Deno.test(`reads the response head ${JSON.stringify(text)}`, () => {
    const { result, head } = parseResponse(text);
    assert.equal(result, text.length);
    assert.equal(head.status, status);
  });
}

const badResponses: [name: string, text: string, result: number][] = [
  ["HTTP/2", "HTTP/2 200 OK\r\n\r\n", badRequest],
  ["HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n", badRequest],
  ["a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", badRequest],
  ["a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", badRequest],
  ["a status below 100", "HTTP/1.1 099 OK\r\n\r\n", badRequest],
  ["a negative status", "HTTP/1.1 -20 OK\r\n\r\n", badRequest],
  ["a bare LF", "HTTP/1.1 200 OK\nA: b\r\n\r\n", badRequest],
  ["a control byte in its reason", "HTTP/1.1 200 O\x01K\r\n\r\n", badRequest],
  ["a space before a colon", "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n", badRequest],
  ["a fold", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", badRequest],
  ["too many fields", `HTTP/1.1 200 OK\r\n${"A: b\r\n".repeat(101)}\r\n`, headersTooLarge],
  ["something else than HTTP", "SSH-2.0-OpenSSH_9.2p1\r\n", badRequest],
];

for (const [name, text, expected] of badResponses) {
  Deno.test(`refuses a response head with ${name}`, () => assert.equal(parseResponse(text).result, expected));
}

Deno.test("a request head that has not arrived whole, cut anywhere, asks for more and is then read alike", () => {
  for (const { text } of good) {
    const whole = describe(parseRequest(text).head);
    for (let cut = 0; cut < text.length; cut++) {
      const bytes = latin1Bytes(text);
      const head = new RequestHead(new Fields(bytes));
      assert.equal(parseRequestHead(bytes, 0, cut, head), needMore, `cut at ${cut} of ${JSON.stringify(text)}`);
      assert.equal(parseRequestHead(bytes, 0, bytes.length, head), text.length);
      assert.deepEqual(describe(head), whole);
    }
  }
});

Deno.test("a response head that has not arrived whole, cut anywhere, asks for more", () => {
  for (const [text] of responses) {
    for (let cut = 0; cut < text.length; cut++) {
      const bytes = latin1Bytes(text);
      assert.equal(parseResponseHead(bytes, 0, cut, new ResponseHead(new Fields(bytes))), needMore, `cut at ${cut}`);
    }
  }
});

const token = fc.stringMatching(/^[A-Za-z!#$%&'*+.^_`|~0-9-]{1,12}$/);
const value = fc.stringMatching(/^[!-~]([ -~]{0,20}[!-~])?$/);
const requestText = fc.tuple(
  token,
  fc.stringMatching(/^\/[!-"$-~]{0,20}$/),
  fc.array(fc.tuple(token, value), { maxLength: 8 }),
)
  .map(([method, path, list]) =>
    `${method} ${path} HTTP/1.1\r\nHost: a\r\n${
      list.filter(([name]) => name.toLowerCase() !== "host").map(([name, text]) => `${name}: ${text}\r\n`).join("")
    }\r\n`
  );

Deno.test("every well-formed head is read whole, wherever it was cut before, and never past its end", () => {
  fc.assert(
    fc.property(requestText, fc.nat(), (text, at) => {
      // What lies behind the end would change the outcome if it were looked at.
      const bytes = latin1Bytes(text + "\r\n\r\nHost: b\r\n\r\n");
      const head = new RequestHead(new Fields(bytes));
      const cut = at % text.length;
      assert.equal(parseRequestHead(bytes, 0, cut, head), needMore);
      assert.equal(parseRequestHead(bytes, 0, text.length, head), text.length);
      assert.equal(head.authority, "a");
    }),
    { numRuns: 500 },
  );
});

const pieces = [
  "GET",
  " ",
  "/",
  "HTTP/1.1",
  "HTTP/1.0",
  "\r\n",
  "\r",
  "\n",
  "Host: a",
  "Host",
  ":",
  "X",
  "\0",
  "\t",
  "\xff",
  "?",
  "#",
  "http://",
  "200",
  "*",
  "CONNECT",
];
const noise = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.array(fc.constantFrom(...pieces), { maxLength: 30 }).map((list) => latin1Bytes(list.join(""))),
);

Deno.test("no bytes make the parsers throw, hang, or take more than there is", () => {
  fc.assert(
    fc.property(noise, fc.nat(20), (input, offset) => {
      const bytes = new Uint8Array(offset + input.length + 32).fill(10);
      bytes.set(input, offset);
      const end = offset + input.length;
      const results = new Set<number>(Object.values(ParseResult));
      for (
        const length of [
          parseRequestHead(bytes.slice(), offset, end, new RequestHead(new Fields(bytes))),
          parseResponseHead(bytes.slice(), offset, end, new ResponseHead(new Fields(bytes))),
        ]
      ) assert.ok(results.has(length) || (length > 0 && length <= input.length), `${length}`);
    }),
    { numRuns: 3000 },
  );
});
