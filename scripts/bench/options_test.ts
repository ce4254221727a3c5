import assert from "node:assert/strict";
import { OptionsError, readOptions } from "./options.ts";

Deno.test("--quick is one short round, and other flags override it", () => {
  const options = readOptions(["--quick", "--rounds", "2", "--only", "c", "--connections", "1,64"]);
  assert.deepEqual(options, {
    rounds: 2,
    seconds: 1,
    rateSeconds: 2,
    connections: [1, 64],
    scenarios: ["mesh"],
    json: null,
  });
});

for (const args of [["--rounds", "0"], ["--seconds", "1.5"], ["--connections", "8,x"], ["--only", "d"], ["--fast"]]) {
  Deno.test(`${args.join(" ")} is refused`, () => {
    assert.throws(() => readOptions(args), OptionsError);
  });
}
