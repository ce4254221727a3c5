import assert from "node:assert/strict";
import { ParseResult } from "../decode/http1/parse_head.ts";
import { Flag, flagText, type Outcome, outcomes, parseOutcome } from "./outcome.ts";

Deno.test("every result of a parser has an outcome with its status, which closes", () => {
  for (const [name, result] of Object.entries(ParseResult)) {
    if (result === ParseResult.needMore) continue;
    const outcome = parseOutcome(result);
    assert.equal(outcome.status, -result, name);
    assert.ok(outcome.close, name);
  }
  assert.equal(parseOutcome(-12345), outcomes.badRequest);
});

Deno.test("every outcome can be written: a known flag, ASCII text, a status of its own or the configured one", () => {
  const flags = new Set<number>(Object.values(Flag));
  for (const [name, outcome] of Object.entries<Outcome>(outcomes)) {
    assert.ok(flags.has(outcome.flag), name);
    assert.match(outcome.body, /^[ -~]*$/, name);
    assert.ok((outcome.status >= 400 && outcome.status <= 599) || name === "faultAbort", name);
  }
});

Deno.test("no two flags share a bit, and each has its name", () => {
  let seen = 0;
  for (const [name, bit] of Object.entries(Flag)) {
    if (bit === 0) continue;
    assert.equal(seen & bit, 0, name);
    seen |= bit;
    assert.equal(flagText(bit), name);
  }
  assert.equal(flagText(0), "-");
  assert.equal(flagText(Flag.URX | Flag.UF), "URX,UF");
});

Deno.test("statuses and flags are Envoy's", () => {
  const table = (["noRoute", "noHealthyUpstream", "connectFailure", "reset", "overflow", "upstreamTimeout"] as const)
    .map((name) => `${outcomes[name].status} ${flagText(outcomes[name].flag)}`);
  assert.deepEqual(table, ["404 NR", "503 UH", "503 UF", "503 UC", "503 UO", "504 UT"]);
});
