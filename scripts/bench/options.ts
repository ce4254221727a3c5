/** The benchmark's command line. */
import { parseArgs } from "node:util";
import type { Scenario } from "./scenario.ts";
import { scenarios } from "./scenarios/all.ts";

export interface BenchOptions {
  rounds: number;
  /** Of full load, per proxy, number of connections and round. */
  seconds: number;
  /** Of load at a constant rate, per proxy and round. */
  rateSeconds: number;
  /** Of little load or none, per proxy. */
  lowRateSeconds: number;
  /** How many are held open at the most. */
  idleConnections: number;
  /** Simulated agents of a control plane. */
  fleet: number;
  /** Connections of HTTP/1.1 under full load. */
  connections: number[];
  scenarios: Scenario[];
  json: string | null;
}

export const usage =
  `deno task bench [--quick] [--rounds N] [--seconds N] [--connections N,N,…] [--only a,b,…] [--json FILE]
${scenarios.map(({ letter, title }) => `  ${letter}: ${title}`).join("\n")}
  default: 3 rounds of 2 s with 8, 32 and 128 connections, all scenarios; --quick: 1 round of 1 s with 32`;

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
  return {
    rounds: values.rounds === undefined ? (quick ? 1 : 3) : count("--rounds", values.rounds),
    seconds: values.seconds === undefined ? (quick ? 1 : 2) : count("--seconds", values.seconds),
    rateSeconds: quick ? 1 : 2,
    lowRateSeconds: quick ? 2 : 4,
    idleConnections: quick ? 1_000 : 10_000,
    fleet: quick ? 100 : 1_000,
    connections: values.connections?.split(",").map((value) => count("--connections", value)) ??
      (quick ? [32] : [8, 32, 128]),
    scenarios: values.only?.split(",").map(scenarioOf) ?? scenarios,
    json: values.json ?? null,
  };
}

function count(flag: string, value: string): number {
  if (!/^[1-9]\d{0,3}$/.test(value)) {
    throw new OptionsError(`${flag} takes whole numbers from 1 to 9999, not "${value}"`);
  }
  return Number(value);
}

function scenarioOf(letter: string): Scenario {
  const found = scenarios.find((scenario) => scenario.letter === letter);
  const known = scenarios.map((scenario) => scenario.letter).join(", ");
  if (found === undefined) throw new OptionsError(`--only takes letters of ${known}, not "${letter}"`);
  return found;
}
