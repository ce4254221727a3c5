import { deepEqual, equal, ok } from "node:assert/strict";
import { ByteQueue, SlabPool } from "../../worker/buffers.ts";
import { ascii } from "../characters.ts";
import { HpackEncoder } from "./hpack_encoder.ts";
import { indexingPolicy } from "./indexing_policy.ts";

const pool = new SlabPool();

/** The bytes of the block that `write` fills. */
function block(encoder: HpackEncoder, write: (out: ByteQueue) => void): number[] {
  const out = new ByteQueue(pool);
  encoder.beginBlock(out);
  write(out);
  const bytes = [...out.bytes.subarray(out.start, out.end)];
  out.clear();
  return bytes;
}

function field(encoder: HpackEncoder, name: string, value: string): (out: ByteQueue) => void {
  const nameBytes = ascii(name);
  const valueBytes = ascii(value);
  return (out) =>
    encoder.encode(
      out,
      nameBytes,
      0,
      nameBytes.length,
      valueBytes,
      0,
      valueBytes.length,
      indexingPolicy(nameBytes, 0, nameBytes.length, valueBytes.length),
    );
}

Deno.test("what the static table has is one byte from the first block on", () => {
  const encoder = new HpackEncoder();
  const get = ascii("GET");
  const post = ascii("POST");
  const root = ascii("/");
  deepEqual(block(encoder, (out) => encoder.encodeMethod(out, get, 0, 3)), [0x82]);
  deepEqual(block(encoder, (out) => encoder.encodeMethod(out, post, 0, 4)), [0x83]);
  deepEqual(block(encoder, (out) => encoder.encodePath(out, root, 0, 1)), [0x84]);
  deepEqual(block(encoder, (out) => encoder.encodeScheme(out, "http")), [0x86]);
  deepEqual(block(encoder, (out) => encoder.encodeScheme(out, "https")), [0x87]);
  [200, 204, 206, 304, 400, 404, 500].forEach((status, index) => {
    deepEqual(block(encoder, (out) => encoder.encodeStatus(out, status)), [0x88 + index]);
  });
  deepEqual(block(encoder, field(encoder, "accept-encoding", "gzip, deflate")), [0x90]);
});

Deno.test("another status is written out once", () => {
  const encoder = new HpackEncoder();
  deepEqual(block(encoder, (out) => encoder.encodeStatus(out, 503)), [0x48, 3, 0x35, 0x30, 0x33]);
  deepEqual(block(encoder, (out) => encoder.encodeStatus(out, 503)), [0xbe]);
});

Deno.test("a change of the table's size is told once, in the next block, with the smallest on the way", () => {
  const encoder = new HpackEncoder();
  encoder.setMaximumTableSize(4096);
  deepEqual(block(encoder, () => {}), []);
  encoder.setMaximumTableSize(1 << 20);
  deepEqual(block(encoder, () => {}), []);
  encoder.setMaximumTableSize(100);
  deepEqual(block(encoder, () => {}), [0x3f, 69]);
  deepEqual(block(encoder, () => {}), []);
  encoder.setMaximumTableSize(0);
  encoder.setMaximumTableSize(30);
  deepEqual(block(encoder, () => {}), [0x20, 0x3e]);
});

Deno.test("short secrets are never indexed, long ones are; the first four bits tell", () => {
  const encoder = new HpackEncoder();
  const first = (name: string, value: string) => block(encoder, field(encoder, name, value))[0];
  for (const name of ["authorization", "proxy-authorization", "cookie", "set-cookie"]) {
    equal(first(name, "secret") & 0xf0, 0x10, name);
    equal(first(name, "secret") & 0xf0, 0x10, name);
    equal(first(name, "s".repeat(100)) & 0xc0, 0x40, name);
    equal(first(name, "s".repeat(100)) & 0x80, 0x80, name);
  }
});

Deno.test("values that never repeat do not push out those that do", () => {
  const encoder = new HpackEncoder();
  block(encoder, field(encoder, "x-zone", "eu-west-1"));
  let written = 0;
  for (let i = 0; i < 2000; i++) {
    block(encoder, field(encoder, "x-request-id", crypto.randomUUID()));
    if (i % 100 === 0) written += block(encoder, field(encoder, "x-zone", "eu-west-1")).length;
  }
  // Twenty times a byte or two, had it never been pushed out: it may be, seldom.
  ok(written < 80, `${written} bytes`);
});

Deno.test("a name that begins to repeat is indexed again", () => {
  const encoder = new HpackEncoder();
  for (let i = 0; i < 50; i++) block(encoder, field(encoder, "x-version", `v${i}`));
  let length = 0;
  for (let i = 0; i < 200; i++) length = block(encoder, field(encoder, "x-version", "stable")).length;
  ok(length <= 2);
});

Deno.test("a field larger than the table leaves the table as it is", () => {
  const encoder = new HpackEncoder();
  block(encoder, field(encoder, "x-small", "a"));
  block(encoder, field(encoder, "x-large", "l".repeat(5000)));
  equal(block(encoder, field(encoder, "x-small", "a")).length, 1);
});
