import { strictEqual } from "node:assert/strict";
import { addressRange, inAddressRange } from "./address_range.ts";

const cases: [string, number, string, boolean][] = [
  ["10.0.0.0", 8, "10.255.0.1", true],
  ["10.0.0.0", 8, "11.0.0.1", false],
  ["10.1.2.128", 25, "10.1.2.129", true],
  ["10.1.2.128", 25, "10.1.2.127", false],
  ["0.0.0.0", 0, "203.0.113.9", true],
  ["10.0.0.1", 32, "10.0.0.1", true],
  ["10.0.0.1", 32, "10.0.0.2", false],
  ["2001:db8::", 32, "2001:db8:1::5", true],
  ["2001:db8::", 33, "2001:db8:8000::", false],
  ["::1", 128, "0:0:0:0:0:0:0:1", true],
  ["10.0.0.0", 8, "::ffff:10.1.2.3", true],
  ["::", 0, "10.1.2.3", false],
  ["10.0.0.0", 8, "010.1.2.3", false],
  ["10.0.0.0", 8, "10.1.2", false],
  ["10.0.0.0", 8, "", false],
];

Deno.test("addresses lie in ranges bit by bit, whatever their spelling", () => {
  for (const [address, prefix, text, expected] of cases) {
    strictEqual(inAddressRange(addressRange(address, prefix)!, text), expected, `${address}/${prefix} ${text}`);
  }
});

Deno.test("what is no range is none", () => {
  for (const [address, prefix] of [["10.0.0.0", 33], ["::1", 129], ["x", 1], ["1:2", 1], ["1::2::3", 1]] as const) {
    strictEqual(addressRange(address, prefix), null, address);
  }
});
