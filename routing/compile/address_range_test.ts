import { strictEqual } from "node:assert/strict";
import { inRange } from "./address_range.ts";

const cases: [address: string, range: string, inside: boolean][] = [
  ["127.64.0.10", "127.64.0.0/16", true],
  ["127.64.255.255", "127.64.0.0/16", true],
  ["127.65.0.0", "127.64.0.0/16", false],
  ["200.1.1.1", "128.0.0.0/1", true],
  ["100.1.1.1", "128.0.0.0/1", false],
  ["1.2.3.4", "0.0.0.0/0", true],
  ["1.2.3.4", "1.2.3.4", true],
  ["1.2.3.5", "1.2.3.4/32", false],
  ["127.64.0", "127.64.0.0/16", false],
  ["127.64.0.1.", "127.64.0.0/16", false],
  ["127.64.0.256", "127.64.0.0/16", false],
  ["127.64.0.01", "127.64.0.0/16", false],
  ["127.64.0.0/24", "127.64.0.0/16", false],
  ["::1", "127.64.0.0/16", false],
  ["127.64.0.1", "::/0", false],
  ["127.64.0.1", "127.64.0.0/33", false],
];

for (const [address, range, inside] of cases) {
  Deno.test(`${address} is ${inside ? "" : "not "}in ${range}`, () => strictEqual(inRange(address, range), inside));
}
