import assert from "node:assert/strict";
import type { OutlierDetectionConfig } from "../config/model.ts";
import { ClusterSlot, HostSlot } from "../config/shared_memory.ts";
import { analyzeOutliers, type DetectingCluster } from "./outlier_analysis.ts";

const detection: OutlierDetectionConfig = {
  consecutive5xx: 0,
  consecutiveGatewayFailure: 0,
  splitExternalLocalOriginErrors: false,
  consecutiveLocalOriginFailure: 0,
  interval: 10_000,
  baseEjectionTime: 30_000,
  maxEjectionTime: 300_000,
  maxEjectionPercent: 100,
};
const failurePercentage = {
  minimumHosts: 2,
  requestVolume: 10,
  threshold: 50,
  enforcing: 100,
  enforcingLocalOrigin: 0,
};

/** Three hosts of which the first has failed eight times out of ten, counted at `requests` and `successes`. */
function cluster(
  more: Partial<OutlierDetectionConfig>,
  requests: number = HostSlot.intervalRequests,
  successes: number = HostSlot.intervalSuccesses,
) {
  const counters = new Int32Array(new SharedArrayBuffer(4096));
  const hosts = new Map([["a", 100], ["b", 200], ["c", 300]]);
  for (const [name, slot] of hosts) {
    counters[slot + requests] = 10;
    counters[slot + successes] = name === "a" ? 2 : 10;
  }
  const one: DetectingCluster = { proxy: "p", cluster: "c", slot: 10, detection: { ...detection, ...more }, hosts };
  const analyze = (now = 10, before = 9.5, random = 0.5) => analyzeOutliers(counters, [one], now, before, () => random);
  return { counters, analyze };
}

Deno.test("a host that fails too often is ejected when the interval ends, and counting starts afresh", () => {
  const { counters, analyze } = cluster({ failurePercentage });
  assert.deepEqual(analyze(9.9, 9), [], "within the interval");
  assert.deepEqual(analyze(), [{ proxy: "p", cluster: "c", host: "a", duration: 30_000 }]);
  assert.equal(counters[100 + HostSlot.ejected], 1);
  assert.equal(counters[100 + HostSlot.ejectedUntil], 40);
  assert.equal(counters[10 + ClusterSlot.ejectedHosts], 1);
  assert.equal(counters[10 + ClusterSlot.healthVersion], 1);
  assert.equal(counters[200 + HostSlot.intervalRequests], 0);
  assert.deepEqual(analyze(20, 19), []);
});

Deno.test("a detector ejects in so many percent of the cases, and jitter lengthens the ejection", () => {
  const half = { failurePercentage: { ...failurePercentage, enforcing: 50 }, maxEjectionTimeJitter: 1000 };
  assert.deepEqual(cluster(half).analyze(10, 9, 0.5), []);
  assert.equal(cluster(half).analyze(10, 9, 0.49)[0].duration, 30_000 + 490);
});

Deno.test("at most so many hosts are out, one at least unless that is switched off", () => {
  assert.equal(cluster({ failurePercentage, maxEjectionPercent: 0 }).analyze().length, 1);
  assert.equal(cluster({ failurePercentage, maxEjectionPercent: 0, alwaysEjectOneHost: false }).analyze().length, 0);
});

Deno.test("local origin failures are judged apart where they are split off", () => {
  const local = { failurePercentage: { ...failurePercentage, enforcing: 0, enforcingLocalOrigin: 100 } };
  const slots = [HostSlot.intervalLocalRequests, HostSlot.intervalLocalSuccesses] as const;
  assert.equal(cluster({ ...local, splitExternalLocalOriginErrors: true }, ...slots).analyze().length, 1);
  assert.equal(cluster(local, ...slots).analyze().length, 0);
});
