/**
 * The seed of every property test, loaded before the tests: the same one run after run, unless `deno task fuzz` names
 * another. A test that fails says with which seed.
 */
import fc from "fast-check";

export const fuzzSeed = Number(Deno.env.get("SKIFF_FUZZ_SEED") ?? 1);

fc.configureGlobal({ seed: fuzzSeed });
