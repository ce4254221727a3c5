import { equal } from "node:assert/strict";
import { isLocalOnly, leadsToOurselves } from "./own_addresses.ts";

const here = {
  vipRange: "127.64.0.0/16",
  local: new Set(["192.0.2.7"]),
  listeners: [{ address: "127.0.0.1", port: 15002 }, { address: "0.0.0.0", port: 80 }],
};

Deno.test("an address that leads back to the agent is known, however it is written", () => {
  const cases: [string, number, boolean][] = [
    ["127.0.0.1", 15002, true],
    ["127.0.0.1", 8080, false],
    ["127.0.0.2", 15002, false],
    ["127.64.3.4", 9080, true],
    ["192.0.2.7", 80, true],
    ["192.0.2.8", 80, false],
    ["127.0.0.9", 80, true],
    ["0.0.0.0", 8080, true],
    ["::", 8080, true],
    ["0:0:0:0:0:0:0:0", 8080, true],
    ["0:0:0:0:0:0:0:1", 80, true],
    ["::ffff:127.0.0.1", 15002, true],
    ["::1", 80, true],
  ];
  for (const [address, port, expected] of cases) {
    equal(leadsToOurselves(address, port, here), expected, `${address} ${port}`);
  }
});

Deno.test("addresses of this machine and of the link are told from others", () => {
  for (const address of ["127.0.0.1", "127.9.9.9", "169.254.169.254", "::1", "0::1", "fe80::1"]) {
    equal(isLocalOnly(address), true, address);
  }
  for (const address of ["192.0.2.1", "10.0.0.1", "2001:db8::1"]) equal(isLocalOnly(address), false, address);
});
