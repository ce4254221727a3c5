import assert from "node:assert/strict";
import { failurePercentageOutliers, successRateOutliers } from "./success_rate.ts";

/** Hosts `h0` … with these percentages of success out of `requests` each. */
function counts(percents: number[], requests = 100) {
  return percents.map((percent, i) => ({ host: `h${i}`, requests, successes: percent * requests / 100 }));
}

const successRate = { minimumHosts: 5, requestVolume: 100, stdevFactor: 1900 };
const failurePercentage = { minimumHosts: 5, requestVolume: 50, threshold: 85 };

Deno.test("a host far below the mean is an outlier, as in the example of Envoy's own tests", () => {
  // Mean 90, deviation 20: below 52 is too low.
  assert.deepEqual(successRateOutliers(counts([50, 100, 100, 100, 100]), successRate), ["h0"]);
  assert.deepEqual(successRateOutliers(counts([50, 100, 100, 100, 100]), { ...successRate, stdevFactor: 2100 }), []);
});

Deno.test("hosts that all fail alike are no outliers", () => {
  assert.deepEqual(successRateOutliers(counts([10, 10, 10, 10, 10]), successRate), []);
});

Deno.test("too few hosts or too few requests are not judged", () => {
  assert.deepEqual(successRateOutliers(counts([0, 100, 100, 100]), successRate), []);
  assert.deepEqual(successRateOutliers(counts([0, 100, 100, 100, 100], 99), successRate), []);
  assert.deepEqual(failurePercentageOutliers(counts([0, 100, 100, 100]), failurePercentage), []);
  assert.deepEqual(failurePercentageOutliers(counts([0, 100, 100, 100, 100], 49), failurePercentage), []);
  assert.deepEqual(successRateOutliers([], { ...successRate, minimumHosts: 0 }), []);
});

Deno.test("from the threshold on a failing host is an outlier, whatever the others do", () => {
  assert.deepEqual(failurePercentageOutliers(counts([15, 16, 0, 100, 100]), failurePercentage), ["h0", "h2"]);
});
