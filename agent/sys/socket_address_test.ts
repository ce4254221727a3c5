import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeSocketAddress, encodeSocketAddress } from "./socket_address.ts";

function roundTrip(address: string, port: number): { address: string; port: number } {
  return decodeSocketAddress(encodeSocketAddress(address, port).bytes);
}

Deno.test("IPv4 addresses pass both ways", () => {
  for (const address of ["0.0.0.0", "127.0.0.1", "255.255.255.255", "10.20.30.40"]) {
    assert.deepEqual(roundTrip(address, 65535), { address, port: 65535 });
  }
  const { family, bytes } = encodeSocketAddress("1.2.3.4", 0x1f90);
  assert.deepEqual([family, ...bytes], [2, 2, 0, 0x1f, 0x90, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0]);
});

const ipv6: [text: string, expected: string][] = [
  ["::", "0:0:0:0:0:0:0:0"],
  ["::1", "0:0:0:0:0:0:0:1"],
  ["fe80::", "fe80:0:0:0:0:0:0:0"],
  ["2001:DB8::8:800:200c:417a", "2001:db8:0:0:8:800:200c:417a"],
  ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
  ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
  ["::ffff:10.0.0.1", "0:0:0:0:0:ffff:a00:1"],
];

for (const [text, expected] of ipv6) {
  Deno.test(`IPv6 ${text}`, () => assert.deepEqual(roundTrip(text, 443), { address: expected, port: 443 }));
}

const bad = ["", "localhost", "1.2.3", "1.2.3.4.5", "256.0.0.1", "01.2.3.4", "1.2.3.-4", "1.2.3.4 ", "0x7f.0.0.1"]
  .concat([
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "::1::",
    ":::",
    "12345::",
    "g::",
    "1:2:3:4:5:6:7:1.2.3.4",
    "::1.2.3",
    ":1",
  ])
  .concat(["[::1]", "fe80::1%eth0", "/" + "a".repeat(108)]);

for (const text of bad) {
  Deno.test(`refuses the address ${JSON.stringify(text.slice(0, 30))}`, () => {
    assert.throws(() => encodeSocketAddress(text, 80), RangeError);
  });
}

Deno.test("Unix sockets: a path ends with NUL, an abstract name begins with it", () => {
  assert.deepEqual([...encodeSocketAddress("/a", 0).bytes], [1, 0, 47, 97, 0]);
  assert.deepEqual([...encodeSocketAddress("@a", 0).bytes], [1, 0, 0, 97]);
  assert.deepEqual(roundTrip("/a", 0), { address: "unix", port: 0 });
});

Deno.test("every IPv6 address passes both ways", () => {
  fc.assert(fc.property(fc.ipV6(), (address) => {
    const once = roundTrip(address, 1).address;
    assert.equal(roundTrip(once, 1).address, once);
  }));
});
