import assert from "node:assert/strict";
import fc from "fast-check";
import { proxyHeader } from "../upstream/proxy_protocol.ts";
import { NOT_PROXY, parseProxyHeader, PROXY_INCOMPLETE, PROXY_INVALID, proxyHeaderLength } from "./proxy_protocol.ts";

const ascii = (text: string) => new TextEncoder().encode(text);
const parse = (bytes: Uint8Array) => parseProxyHeader(bytes, bytes.length);
const signature = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
const ipv4 = [10, 0, 0, 1, 10, 0, 0, 2, 0x30, 0x39, 0, 80];

/** A header of version 2 with its length computed. */
function binary(command: number, family: number, rest: number[], length = rest.length): Uint8Array {
  return new Uint8Array([...signature, command, family, length >> 8, length & 255, ...rest]);
}

const valid: [what: string, header: Uint8Array, remoteAddress: string | null][] = [
  ["TCP4", ascii("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"), "192.0.2.1:56324"],
  ["TCP6", ascii("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"), "2001:db8:0:0:0:0:0:1:1"],
  ["UNKNOWN", ascii("PROXY UNKNOWN\r\n"), null],
  ["UNKNOWN with whatever", ascii("PROXY UNKNOWN ffff:f...f:ffff ? 1 2 3\r\n"), null],
  ["version 2 over IPv4", binary(0x21, 0x11, ipv4), "10.0.0.1:12345"],
  [
    "version 2 over IPv6",
    binary(0x21, 0x21, [...new Array(15).fill(0), 1, ...new Array(16).fill(0), 1, 2, 0, 80]),
    "0:0:0:0:0:0:0:1:258",
  ],
  ["version 2 with TLVs", binary(0x21, 0x11, [...ipv4, 4, 0, 2, 7, 7, 1, 0, 0]), "10.0.0.1:12345"],
  ["LOCAL", binary(0x20, 0, []), null],
  ["LOCAL with addresses that are ignored", binary(0x20, 0x11, [1, 2, 3]), null],
  ["UNSPEC", binary(0x21, 0, []), null],
  ["a Unix socket", binary(0x21, 0x31, new Array(216).fill(0)), null],
];

for (const [what, header, remoteAddress] of valid) {
  Deno.test(`takes ${what}, and nothing of what follows`, () => {
    const followed = new Uint8Array([...header, ...ascii("GET / HTTP/1.1\r\n")]);
    assert.deepEqual(parse(followed), { length: header.length, remoteAddress });
  });

  Deno.test(`wants more of ${what} at every cut, by a length that ends`, () => {
    for (let size = 0; size < header.length; size++) {
      assert.equal(parseProxyHeader(header, size), PROXY_INCOMPLETE, `${size} bytes`);
      const wanted = proxyHeaderLength(header, size);
      assert.ok(wanted > size && wanted <= header.length, `${wanted} after ${size} of ${header.length}`);
    }
  });
}

const invalid: [what: string, header: Uint8Array][] = [
  ["a line without carriage return", ascii("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n")],
  ["a line that is too long", ascii(`PROXY UNKNOWN ${"x".repeat(107)}\r\n`)],
  ["a missing port", ascii("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n")],
  ["a field too many", ascii("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n")],
  ["two blanks", ascii("PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n")],
  ["a port with a leading zero", ascii("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n")],
  ["a port that is too large", ascii("PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n")],
  ["an address of the other family", ascii("PROXY TCP4 ::1 ::1 1 2\r\n")],
  ["a name for an address", ascii("PROXY TCP4 localhost 1.2.3.4 1 2\r\n")],
  ["a path for an address", ascii("PROXY TCP4 /etc/x 1.2.3.4 1 2\r\n")],
  ["another protocol", ascii("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n")],
  ["version 3", binary(0x31, 0x11, ipv4)],
  ["an unknown command", binary(0x22, 0x11, ipv4)],
  ["an unknown family", binary(0x21, 0x41, ipv4)],
  ["datagrams", binary(0x21, 0x12, ipv4)],
  ["addresses that do not fit the length", binary(0x21, 0x11, ipv4.slice(1))],
  ["a TLV that reaches beyond the header", binary(0x21, 0x11, [...ipv4, 4, 0, 3, 7, 7])],
  ["a TLV of the greatest length", binary(0x21, 0x11, [...ipv4, 4, 255, 255])],
  ["half a TLV", binary(0x21, 0x11, [...ipv4, 4, 0])],
  ["a length beyond the limit", binary(0x21, 0x11, ipv4, 65535)],
];

for (const [what, header] of invalid) {
  Deno.test(`refuses ${what}`, () => assert.equal(parse(header), PROXY_INVALID));
}

Deno.test("what begins otherwise is told apart from the first byte that differs", () => {
  for (const text of ["GET / HTTP/1.1\r\n", "PROXX", "PRI * HTTP/2.0", "\r\n\r\nx", "\x16\x03\x01"]) {
    assert.equal(parse(ascii(text)), NOT_PROXY, text);
  }
});

Deno.test("random bytes never throw, and every cut of them gives the same answer or asks for more", () => {
  const start = fc.constantFrom(ascii(""), ascii("PROXY "), ascii("PROXY TCP4 "), new Uint8Array(signature));
  const property = fc.property(start, fc.uint8Array({ maxLength: 300 }), (start, rest) => {
    const bytes = new Uint8Array([...start, ...rest]);
    const whole = parse(bytes);
    for (let size = 0; size < bytes.length; size++) {
      const part = parseProxyHeader(bytes.slice(0, size), size);
      if (part === PROXY_INCOMPLETE) assert.ok(proxyHeaderLength(bytes.slice(0, size), size) > size);
      else assert.deepEqual(part, whole);
    }
    if (typeof whole === "object") assert.ok(whole.length <= bytes.length);
  });
  fc.assert(property, { numRuns: 500 });
});

Deno.test("what is sent is what is received", () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6().filter((text) => !text.includes(".")));
  const property = fc.property(
    address,
    fc.integer({ min: 0, max: 65535 }),
    fc.constantFrom("V1", "V2"),
    (from, port, version) => {
      const local = from.includes(":") ? "::1:443" : "127.0.0.1:443";
      const header = proxyHeader(version as "V1" | "V2", { remote: `${from}:${port}`, local });
      const received = parse(header);
      assert.ok(typeof received === "object" && received.remoteAddress !== null);
      assert.equal(received.length, header.length);
      const again = proxyHeader(version as "V1" | "V2", { remote: received.remoteAddress, local });
      assert.deepEqual(parse(again), { length: again.length, remoteAddress: received.remoteAddress });
      assert.ok(received.remoteAddress.endsWith(`:${port}`));
    },
  );
  fc.assert(property, { numRuns: 300 });
  for (const version of ["V1", "V2"] as const) {
    const ownName = parse(proxyHeader(version, null));
    assert.ok(typeof ownName === "object" && ownName.remoteAddress === null);
    const mixed = parse(proxyHeader(version, { remote: "1.2.3.4:1", local: "::1:2" }));
    assert.ok(typeof mixed === "object" && mixed.remoteAddress === null);
    const unix = parse(proxyHeader(version, { remote: "unix:0", local: "/run/x:0" }));
    assert.ok(typeof unix === "object" && unix.remoteAddress === null);
  }
});
