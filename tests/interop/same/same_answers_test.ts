/** skiff's data plane and a stock Envoy run the same resources, and answer the same. */
import { deepEqual, equal } from "node:assert/strict";
import { stockEnvoy } from "../../../scripts/stock_envoy.ts";
import { type Answer, ask } from "./ask.ts";
import type { Case, Request } from "./case.ts";
import { edgeCases } from "./edge_cases.ts";
import { filterCases } from "./filter_cases.ts";
import { hashCases, policyCases } from "./policy_cases.ts";
import { routingCases } from "./routing_cases.ts";
import { type Side, SideBySide, sides } from "./side_by_side.ts";

const envoy = await stockEnvoy();

/** Envoy writes its host's address for a caller on the loopback interface. */
const ownAddresses = Deno.networkInterfaces().map(({ address }) => address).filter((address) =>
  address !== "127.0.0.1"
);

/** Lines of one name are one list (RFC 9110 section 5.3). */
function byName(headers: [string, string][]): Record<string, string> {
  const joined: Record<string, string> = {};
  for (const [name, value] of headers) joined[name] = name in joined ? `${joined[name]}, ${value}` : value;
  return joined;
}

function judge({ status, headers, body, seen }: Answer, { expect }: Request, side: Side): void {
  equal(status, expect.status, `${side}: ${JSON.stringify({ status, headers, body })}`);
  if (expect.body !== undefined) equal(body, expect.body, side);
  if (expect.server !== undefined) equal(seen?.server, expect.server, side);
  if (expect.path !== undefined) equal(seen?.path, expect.path, side);
  for (const [name, value] of Object.entries(expect.headers ?? {})) {
    equal(byName(headers)[name] ?? null, value, `${side}: ${name}`);
  }
  for (const [name, value] of Object.entries(expect.seen ?? {})) {
    equal(sameAddress(byName(seen?.headers ?? [])[name] ?? null), value, `${side}: ${name} at the server`);
  }
}

function sameAddress<Value extends string | null>(value: Value): Value {
  return ownAddresses.reduce((text, own) => text?.replaceAll(own, "127.0.0.1") as Value, value);
}

/** What the two have to have in common. */
function comparable({ headers, seen, ...rest }: Answer, { expect: { differs = [] } }: Request) {
  const without = (all: object) => Object.fromEntries(Object.entries(all).filter(([key]) => !differs.includes(key)));
  const atServer = seen === null ? null : without({
    ...seen,
    path: seen.path.replace("skiff", "envoy"),
    headers: Object.entries(without(byName(seen.headers))).map(([name, value]) => `${name}: ${sameAddress(value)}`),
  });
  return without({ ...rest, headers: without(byName(headers)), seen: atServer });
}

async function run(t: Deno.TestContext, cases: readonly Case[]): Promise<void> {
  await using both = await SideBySide.start(envoy!, cases);
  for (const each of cases) {
    await t.step(`${each.name}: both answer alike`, async (t) => {
      const requests = each.requests.flatMap((request) => Array.from({ length: request.times ?? 1 }, () => request));
      for (const [index, request] of requests.entries()) {
        const [skiff, stock] = await Promise.all(sides.map((side) => ask(both.port(side, each), side, request)));
        await t.step(
          `${index}: ${(request.raw ?? `${request.method ?? "GET"} ${request.path ?? "/"}`).slice(0, 60)}`,
          () => {
            judge(skiff, request, "skiff");
            if (request.expect.differs === undefined) judge(stock, request, "envoy");
            deepEqual(comparable(skiff, request), comparable(stock, request));
          },
        );
      }
      const [skiff, stock] = await Promise.all(sides.map((side) => both.logged(side, each, requests.length)));
      const compared = (lines: string[]) => lines.filter((_, i) => !requests[i]?.expect.differs?.includes("log"));
      deepEqual(compared(skiff), compared(stock));
      const expected = requests.map(({ expect: { status, flags = "-" } }) => `${status} ${flags}`);
      deepEqual(compared(skiff.map((line) => line.split(" ", 2).join(" "))), compared(expected));
    });
  }
}

const table = { routing: routingCases, filters: filterCases, edge: edgeCases, policy: policyCases };

for (const [name, cases] of Object.entries(table)) {
  Deno.test({
    name: `${name}: the agent's data plane answers as Envoy does with the same resources`,
    ignore: envoy === null,
    fn: (t) => run(t, cases),
  });
}

Deno.test({
  name: "consistent hashing: the agent and Envoy choose the same endpoint for the same key",
  ignore: envoy === null,
  async fn() {
    await using both = await SideBySide.start(envoy!, hashCases);
    for (const each of hashCases) {
      const chosen = async (side: Side, key: string) => {
        const headers: [string, string][] = [["x-key", key], ["cookie", `key=${key}`]];
        const answer = await ask(both.port(side, each), side, {
          path: `/?key=${key}`,
          headers,
          expect: { status: 200 },
        });
        return answer.seen!.server;
      };
      const keys = Array.from({ length: 40 }, (_, i) => `key-${i * 7919}`);
      const choices = { skiff: [] as string[], envoy: [] as string[] };
      for (const key of keys) for (const side of sides) choices[side].push(await chosen(side, key));
      deepEqual(choices.skiff, choices.envoy, each.name);
      for (const side of sides) equal(await chosen(side, keys[3]), choices[side][3], `${each.name}: ${side} again`);
      equal(new Set(choices.skiff).size, 3, `${each.name}: all endpoints have a part`);
    }
  },
});
