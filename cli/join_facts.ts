/**
 * What `token create` needs to know of a control plane whose data directory it finds: kept in `join.json` there, written
 * by the control plane each time it starts.
 */
import { join } from "node:path";
import { UsageError } from "./usage_error.ts";

export interface JoinFacts {
  trustDomain: string;
  /** `host:port` each, in order of preference: where agents join (15011). */
  joinAddresses: string[];
  /** `host:port` each: where they connect afterwards (15012). */
  xdsAddresses: string[];
}

const file = (dataDir: string) => join(dataDir, "join.json");

/** Replaces the file as a whole. */
export function writeJoinFacts(dataDir: string, facts: JoinFacts): void {
  const staged = `${file(dataDir)}.${Deno.pid}.new`;
  Deno.writeTextFileSync(staged, JSON.stringify(facts, null, 2) + "\n", { mode: 0o600 });
  Deno.renameSync(staged, file(dataDir));
}

/** @throws {UsageError} when no control plane has started in this directory, or it may not be read. */
export function readJoinFacts(dataDir: string): JoinFacts {
  try {
    return JSON.parse(Deno.readTextFileSync(file(dataDir))) as JoinFacts;
  } catch (error) {
    const what = error instanceof Deno.errors.NotFound
      ? "no control plane has started there"
      : `cannot read join.json: ${error instanceof Error ? error.message : error}`;
    throw new UsageError(`--data-dir: ${dataDir}: ${what}; name its data directory, or its REST API by --server`);
  }
}
