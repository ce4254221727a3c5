import { deepEqual, equal, ok } from "node:assert/strict";
import { ByteQueue, SlabPool } from "../../worker/buffers.ts";
import { writeKept } from "../field_lines.ts";
import { ascii, latin1 } from "../characters.ts";
import { Fields } from "../head.ts";
import { Known } from "../known_headers.ts";
import { HeaderSink } from "./header_sink.ts";
import { HpackDecoder } from "./hpack_decoder.ts";
import { HpackEncoder } from "./hpack_encoder.ts";

/** Decodes `name: value` lines that were encoded, `times` times over so that the table serves the last. */
function through(lines: string[], times = 1, sink = new HeaderSink()): HeaderSink {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder();
  for (let i = 0; i < times; i++) {
    const out = new ByteQueue(new SlabPool());
    encoder.beginBlock(out);
    for (const line of lines) {
      const colon = line.indexOf(":", 1);
      const name = ascii(line.slice(0, colon));
      const value = ascii(line.slice(colon + 2));
      encoder.encode(out, name, 0, name.length, value, 0, value.length, "index");
    }
    sink.begin(65536, 100);
    equal(decoder.decode(out.bytes, out.start, out.end, sink), 0);
  }
  return sink;
}

function kept(sink: HeaderSink): string {
  const out = new ByteQueue(new SlabPool());
  writeKept(out, sink.fields);
  return latin1(out.bytes, out.start, out.end);
}

for (const times of [1, 2]) {
  const origin = times === 1 ? "literal" : "indexed";

  Deno.test(`${origin} fields stand as lines that are copied on in runs`, () => {
    const lines = [
      ":method: PUT",
      ":path: /a",
      "user-agent: curl",
      "x-a: 1",
      "x-empty: ",
      `x-long: ${"l".repeat(300)}`,
    ];
    const sink = through(lines, times);
    equal(kept(sink), lines.slice(2).map((line) => line + "\r\n").join(""));
    sink.fields.dropNamed(ascii("x-a"));
    equal(kept(sink).includes("x-a"), false);
  });

  Deno.test(`${origin} fields have their numbers and values, pseudo-header fields their places`, () => {
    const lines = [
      ":method: PUT",
      ":authority: a.example",
      "content-type: text/plain",
      "te: trailers",
      "host: b.example",
    ];
    const { fields, ...sink } = through(lines, times);
    equal(fields.known(Known.contentType), "text/plain");
    equal(fields.known(Known.te), "trailers");
    equal(fields.known(Known.host), "b.example");
    equal(latin1(fields.bytes, sink.methodStart, sink.methodEnd), "PUT");
    equal(latin1(fields.bytes, sink.authorityStart, sink.authorityEnd), "a.example");
    equal(sink.pathStart, -1);
    equal(sink.statusEnd, -1);
  });

  Deno.test(`${origin} cookie crumbs become one field behind the others`, () => {
    const sink = through([":path: /", "cookie: a=1", "x-a: 1", "cookie: b=2", "te: trailers", "cookie: c=3"], times);
    equal(kept(sink), "x-a: 1\r\nte: trailers\r\ncookie: a=1; b=2; c=3\r\n");
    equal(sink.fields.count, 3);
    equal(sink.fields.known(Known.te), "trailers");
    equal(sink.fields.occurrences[Known.te], 1);
    equal(sink.fields.first[Known.te], 1);
  });
}

Deno.test("cookies of every length are joined as a join of text would, without the empty ones", () => {
  for (let first = 0; first < 200; first += 7) {
    const crumbs = ["a".repeat(first), "b".repeat(200 - first), "", "c".repeat(first % 5)];
    const sink = through(crumbs.map((crumb) => `cookie: ${crumb}`));
    equal(kept(sink), `cookie: ${crumbs.filter((crumb) => crumb !== "").join("; ")}\r\n`);
    equal(sink.end, kept(sink).length);
  }
});

Deno.test("a list that begins anew has nothing of the one before, and the same buffer", () => {
  const sink = through([":status: 200", ":status: 200", "X: a", "server: a"]);
  ok(sink.malformed && sink.hasPseudo);
  const { bytes } = sink;
  through(["date: today"], 1, sink);
  equal(sink.malformed || sink.hasPseudo || sink.tooLarge, false);
  equal(sink.statusStart, -1);
  equal(sink.fields.known(Known.server), null);
  equal(sink.fields.known(Known.date), "today");
  equal(sink.bytes, bytes);
});

Deno.test("the fields of a head that is given are filled", () => {
  const fields = new Fields(new Uint8Array(0));
  through(["server: a"], 1, new HeaderSink(fields));
  equal(fields.known(Known.server), "a");
});

Deno.test("crumbs that fill a list to its last field are joined", () => {
  const crumbs = Array.from({ length: 100 }, (_, i) => `cookie: c${i}`);
  const sink = through(crumbs);
  equal(sink.tooLarge, false);
  deepEqual(sink.fields.value(0).split("; "), crumbs.map((crumb) => crumb.slice(8)));
});
