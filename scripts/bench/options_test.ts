import assert from "node:assert/strict";
import { OptionsError, readOptions } from "./options.ts";
import { requestScenarios } from "./scenarios/requests.ts";

Deno.test("--quick is one short round, and other flags override it", () => {
  const options = readOptions(["--quick", "--rounds", "2", "--only", "c", "--connections", "1,64"]);
  assert.deepEqual(options, {
    rounds: 2,
    seconds: 1,
    rateSeconds: 1,
    lowRateSeconds: 2,
    idleConnections: 1000,
    fleet: 100,
    connections: [1, 64],
    scenarios: requestScenarios.filter(({ letter }) => letter === "c"),
    json: null,
  });
});

for (const args of [["--rounds", "0"], ["--seconds", "1.5"], ["--connections", "8,x"], ["--only", "z"], ["--fast"]]) {
  Deno.test(`${args.join(" ")} is refused`, () => {
    assert.throws(() => readOptions(args), OptionsError);
  });
}
