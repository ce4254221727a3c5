import { deepEqual, equal } from "node:assert/strict";
import { HpackDecoder } from "../../../agent/decode/hpack/hpack_decoder.ts";
import { HpackEncoder } from "../../../agent/decode/hpack/hpack_encoder.ts";
import { decodeBlock, encodeList, type Field, fieldsOf } from "./header_lists.ts";

/** Lists that make a message malformed, with the section of RFC 9113 that says so. */
const malformed: [reason: string, list: Field[]][] = [
  ["§8.2 upper case in a name", [["X-Tenant", "a"]]],
  ["§8.2.1 an empty name", [["", "a"]]],
  ["§8.2.1 a space in a name", [["x tenant", "a"]]],
  ["§8.2.1 a colon in a name", [["x:tenant", "a"]]],
  ["§8.2.1 NUL in a name", [["x\0", "a"]]],
  ["§8.2.1 a byte beyond ASCII in a name", [["x\u00e9", "a"]]],
  ["§8.2.1 NUL in a value", [["x", "a\0b"]]],
  ["§8.2.1 CR in a value", [["x", "a\rb"]]],
  ["§8.2.1 LF in a value", [["x", "a\nb"]]],
  ["§8.2.1 a line in a value", [["x", "a\r\nhost: evil"]]],
  ["§8.2.1 a line in a path", [[":path", "/ HTTP/1.1\r\nhost: evil"]]],
  ["§8.2.1 a space before a value", [["x", " a"]]],
  ["§8.2.1 a space behind a value", [["x", "a "]]],
  ["§8.2.1 a tab before a value", [["x", "\ta"]]],
  ["§8.2.1 a tab behind a value", [["x", "a\t"]]],
  ["§8.2.2 connection", [["connection", "close"]]],
  ["§8.2.2 keep-alive", [["keep-alive", "timeout=5"]]],
  ["§8.2.2 proxy-connection", [["proxy-connection", "keep-alive"]]],
  ["§8.2.2 transfer-encoding", [["transfer-encoding", "chunked"]]],
  ["§8.2.2 upgrade", [["upgrade", "h2c"]]],
  ["§8.2.2 te other than trailers", [["te", "gzip"]]],
  ["§8.2.2 te with more than trailers", [["te", "trailers, gzip"]]],
  ["§8.2.2 te without a value", [["te", ""]]],
  ["§8.3 a pseudo-header field behind a field", [["x", "a"], [":path", "/"]]],
  ["§8.3 an unknown pseudo-header field", [[":host", "a"]]],
  ["§8.3 a pseudo-header field without a name", [[":", "a"]]],
  ["§8.3 a pseudo-header field in upper case", [[":Path", "/"]]],
  ...[":method", ":path", ":authority", ":scheme", ":status", ":protocol"].map((name): [string, Field[]] => [
    `§8.3 ${name} twice`,
    [[name, "a"], [name, "a"]],
  ]),
];

for (const [reason, list] of malformed) {
  Deno.test(`a list is malformed, also when it comes from the table: ${reason}`, () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder();
    for (let round = 0; round < 3; round++) {
      const { code, sink } = decodeBlock(decoder, encodeList(encoder, list));
      equal(code, 0);
      equal(sink.malformed, true);
    }
  });
}

Deno.test("the value of an entry whose name is used again does not spoil the next", () => {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder();
  equal(decodeBlock(decoder, encodeList(encoder, [["te", "gzip"], ["x-a", " a"]])).sink.malformed, true);
  equal(decodeBlock(decoder, encodeList(encoder, [["te", "trailers"], ["x-a", "a"]])).sink.malformed, false);
});

Deno.test("well-formed lists are not malformed", () => {
  const list: Field[] = [
    [":method", "CONNECT"],
    [":scheme", "https"],
    [":path", "/chat?a=b"],
    [":authority", "example.com"],
    [":protocol", "websocket"],
    ["te", "Trailers"],
    ["x-text", "a b\tc \u00e9"],
    ["x-empty", ""],
    ["content_length", "1"],
  ];
  const { sink } = decodeBlock(new HpackDecoder(), encodeList(new HpackEncoder(), list));
  equal(sink.malformed, false);
  equal(sink.hasPseudo, true);
  deepEqual(fieldsOf(sink), list);
});
