/** The benchmark's command line. */
import { parseArgs } from "node:util";
import { type ScenarioName, scenarios } from "./scenario.ts";

export interface BenchOptions {
  rounds: number;
  /** Of full load, per proxy, number of connections and round. */
  seconds: number;
  /** Of load at a fixed rate, per proxy. */
  rateSeconds: number;
  connections: number[];
  scenarios: ScenarioName[];
  json: string | null;
}

export const usage =
  `deno task bench [--quick] [--rounds N] [--seconds N] [--connections N,N,…] [--only a,b,c] [--json FILE]
  a: one plaintext hop   b: TLS termination   c: mutual TLS between two proxies
  default: 3 rounds of 3 s with 8, 32 and 128 connections, all scenarios; --quick: 1 round of 1 s with 32`;

/** A flag was not understood; the message says which and what it takes. */
export class OptionsError extends Error {
  override readonly name = "OptionsError";
}

/** Reads the command line. Throws {@link OptionsError}. */
export function readOptions(args: string[]): BenchOptions {
  const text = { type: "string" } as const;
  let values;
  try {
    ({ values } = parseArgs({
      args,
      options: {
        quick: { type: "boolean", default: false },
        rounds: text,
        seconds: text,
        connections: text,
        only: text,
        json: text,
      },
    }));
  } catch (error) {
    throw new OptionsError(error instanceof Error ? error.message : String(error));
  }
  const quick = values.quick;
  const letters = values.only?.split(",") ?? Object.values(scenarios).map(({ letter }) => letter);
  return {
    rounds: values.rounds === undefined ? (quick ? 1 : 3) : count("--rounds", values.rounds),
    seconds: values.seconds === undefined ? (quick ? 1 : 3) : count("--seconds", values.seconds),
    rateSeconds: quick ? 2 : 5,
    connections: values.connections?.split(",").map((value) => count("--connections", value)) ??
      (quick ? [32] : [8, 32, 128]),
    scenarios: letters.map(scenarioOf),
    json: values.json ?? null,
  };
}

function count(flag: string, value: string): number {
  if (!/^[1-9]\d{0,3}$/.test(value)) {
    throw new OptionsError(`${flag} takes whole numbers from 1 to 9999, not "${value}"`);
  }
  return Number(value);
}

function scenarioOf(letter: string): ScenarioName {
  const found = Object.entries(scenarios).find(([, scenario]) => scenario.letter === letter);
  if (found === undefined) throw new OptionsError(`--only takes a, b and c, not "${letter}"`);
  return found[0] as ScenarioName;
}
