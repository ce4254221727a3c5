import { deepEqual, throws } from "node:assert/strict";
import { encodeHeaders, HeaderDecoder } from "./header_blocks.ts";

const hex = (text: string) => Uint8Array.from(text.replaceAll(" ", "").match(/../g)!, (pair) => parseInt(pair, 16));

Deno.test("the requests of RFC 7541 C.3 and C.4 are decoded, with and without Huffman's code", () => {
  const requests = [
    [
      "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
      "8286 84be 5808 6e6f 2d63 6163 6865",
      "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ],
    [
      "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
      "8286 84be 5886 a8eb 1064 9cbf",
      "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ],
  ];
  const authority = [":authority", "www.example.com"];
  const expected = [
    [[":method", "GET"], [":scheme", "http"], [":path", "/"], authority],
    [[":method", "GET"], [":scheme", "http"], [":path", "/"], authority, ["cache-control", "no-cache"]],
    [[":method", "GET"], [":scheme", "https"], [":path", "/index.html"], authority, ["custom-key", "custom-value"]],
  ];
  for (const blocks of requests) {
    const decoder = new HeaderDecoder();
    deepEqual(blocks.map((block) => decoder.decode(hex(block))), expected);
  }
});

Deno.test("a table that is made smaller forgets, and one larger than agreed is refused", () => {
  const decoder = new HeaderDecoder();
  decoder.decode(hex("4001 6101 62"));
  deepEqual(decoder.decode(hex("be")), [["a", "b"]]);
  deepEqual(decoder.decode(hex("20 82")), [[":method", "GET"]]);
  throws(() => decoder.decode(hex("be")), /there is no entry 62/);
  throws(() => decoder.decode(hex("3f e2 1f")), /a table of 4097 bytes/);
  throws(() => decoder.decode(hex("82 20")), /behind a field/);
});

Deno.test("damaged blocks are refused", () => {
  for (const block of ["80", "40", "41", "00 05 61", "ff ff ff ff ff 0f", "00 01 61 82 00 00"]) {
    throws(() => new HeaderDecoder().decode(hex(block)), { name: "ConnectionError" }, block);
  }
});

Deno.test("what is encoded is decoded again", () => {
  const headers = [[":status", "200"], ["grpc-message", "x".repeat(300)], ["empty", ""]] as const;
  deepEqual(new HeaderDecoder().decode(encodeHeaders([...headers])), headers.map((header) => [...header]));
});
