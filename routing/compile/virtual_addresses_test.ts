import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { inRange } from "./address_range.ts";
import { service } from "./testing/mesh.ts";
import { virtualAddresses } from "./virtual_addresses.ts";

const range = "127.64.0.0/16";
const services = (count: number) => Array.from({ length: count }, (_, i) => service(`s${String(i).padStart(5, "0")}`));

Deno.test("each service has an address of the range that no other has", () => {
  const allocation = [...virtualAddresses(services(5000), range).values()].flat();
  strictEqual(new Set(allocation).size, 5000);
  ok(allocation.every((address) => inRange(address, range) && !address.startsWith("127.64.0.")));
});

Deno.test("an address stays while services come and go", () => {
  const many = services(100);
  const before = virtualAddresses(many, range);
  const after = virtualAddresses([...many.slice(0, 50), ...many.slice(60), service("t")], range);
  for (const { hostname } of many.slice(60)) deepStrictEqual(after.get(hostname), before.get(hostname));
});

Deno.test("an address within the range that a service names is its own", () => {
  const [one, other] = services(2);
  const [address] = virtualAddresses([other], range).get(other.hostname)!;
  const allocation = virtualAddresses([{ ...one, addresses: ["10.0.0.1", address] }, other], range);
  deepStrictEqual(allocation.get(one.hostname), [address]);
  strictEqual(allocation.get(other.hostname)!.includes(address), false);
});

Deno.test("a range that is full serves the first, and one host alone none", () => {
  strictEqual(virtualAddresses(services(10), "127.64.0.0/29").size, 6);
  strictEqual(virtualAddresses(services(1), "127.64.0.1/32").size, 0);
});

Deno.test("what goes where the caller sends it has no address", () => {
  strictEqual(virtualAddresses([service("none", { resolution: "NONE" })], range).size, 0);
});
