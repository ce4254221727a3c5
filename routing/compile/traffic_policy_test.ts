import { deepStrictEqual } from "node:assert/strict";
import type { TrafficPolicy } from "../istio/types.ts";
import { effectivePolicy } from "./traffic_policy.ts";

const random = { simple: "RANDOM" } as const;
const roundRobin = { simple: "ROUND_ROBIN" } as const;
const leastRequest = { simple: "LEAST_REQUEST" } as const;
const pool = { tcp: { maxConnections: 1 } };
const subsetPool = { tcp: { maxConnections: 2 } };
const outliers = { consecutive5xxErrors: 3 };

/** What of a policy is set. */
function settings(rule: TrafficPolicy | undefined, subset: TrafficPolicy | undefined, port = 80) {
  return Object.fromEntries(Object.entries(effectivePolicy(rule, subset, port)).filter(([, value]) => value));
}

Deno.test("without policies nothing is set", () => {
  deepStrictEqual(settings(undefined, undefined), {});
});

Deno.test("a subset overrides setting by setting", () => {
  deepStrictEqual(settings({ loadBalancer: random, connectionPool: pool }, { loadBalancer: roundRobin }), {
    loadBalancer: roundRobin,
    connectionPool: pool,
  });
});

Deno.test("a setting for the port does not inherit from the rule", () => {
  const rule = {
    loadBalancer: random,
    outlierDetection: outliers,
    portLevelSettings: [{ port: { number: 80 }, connectionPool: pool }],
  };
  deepStrictEqual(settings(rule, undefined), { connectionPool: pool });
  deepStrictEqual(settings(rule, undefined, 81), { loadBalancer: random, outlierDetection: outliers });
});

Deno.test("a subset overrides what the rule says for the port", () => {
  const rule = { portLevelSettings: [{ port: { number: 80 }, connectionPool: pool, loadBalancer: random }] };
  deepStrictEqual(settings(rule, { connectionPool: subsetPool }), { connectionPool: subsetPool, loadBalancer: random });
});

Deno.test("a subset's setting for the port replaces everything below it", () => {
  const subset = {
    connectionPool: subsetPool,
    portLevelSettings: [{ port: { number: 80 }, loadBalancer: leastRequest }],
  };
  deepStrictEqual(settings({ loadBalancer: random, outlierDetection: outliers }, subset), {
    loadBalancer: leastRequest,
  });
});
