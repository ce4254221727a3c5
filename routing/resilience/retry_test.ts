import assert from "node:assert/strict";
import {
  type AttemptFailure,
  backOff,
  callersRetryPolicy,
  compileRetryPolicy,
  retriesFailure,
  retriesResponse,
  withinBudget,
} from "./retry.ts";

function policy(retryOn: string[], retriableStatusCodes: number[] = []) {
  return compileRetryPolicy({
    retryOn,
    numRetries: 2,
    perTryTimeout: 0,
    retriableStatusCodes,
    backOffBase: 25,
    backOffMax: 250,
    avoidPreviousHosts: false,
    hostSelectionMaxAttempts: 1,
  });
}

const statuses: [retryOn: string[], codes: number[], retried: number[], not: number[]][] = [
  [[], [], [], [200, 409, 500, 503]],
  [["5xx"], [], [500, 501, 503, 504, 599], [200, 404, 409, 499]],
  [["gateway-error"], [], [502, 503, 504], [500, 501, 505]],
  [["retriable-4xx"], [], [409], [400, 404, 408, 429, 503]],
  [["retriable-status-codes"], [404, 503], [404, 503], [500, 409]],
  [["retriable-status-codes"], [], [], [503]],
  [[], [503], [], [503]],
  [["503"], [], [503], [500, 502]],
  [["connect-failure", "refused-stream", "reset"], [], [], [500, 503]],
  [["gateway-error", "retriable-4xx"], [], [409, 502], [500]],
];

for (const [retryOn, codes, retried, not] of statuses) {
  Deno.test(`retry on "${retryOn}" with codes [${codes}] retries [${retried}] and not [${not}]`, () => {
    for (const status of retried) assert.ok(retriesResponse(policy(retryOn, codes), status, -1), `${status}`);
    for (const status of not) assert.ok(!retriesResponse(policy(retryOn, codes), status, -1), `${status}`);
  });
}

const grpc: [retryOn: string, code: number][] = [
  ["cancelled", 1],
  ["deadline-exceeded", 4],
  ["resource-exhausted", 8],
  ["internal", 13],
  ["unavailable", 14],
];

for (const [retryOn, code] of grpc) {
  Deno.test(`retry on "${retryOn}" retries grpc-status ${code} alone`, () => {
    for (let other = -1; other <= 16; other++) {
      assert.equal(retriesResponse(policy([retryOn]), 200, other), other === code, `grpc-status ${other}`);
    }
  });
}

const failures: [retryOn: string, retried: AttemptFailure[]][] = [
  ["5xx", ["connect", "reset", "refused", "perTryTimeout"]],
  ["gateway-error", ["connect", "reset", "refused", "perTryTimeout"]],
  ["reset", ["connect", "reset", "refused", "perTryTimeout"]],
  ["connect-failure", ["connect"]],
  ["reset-before-request", ["connect"]],
  ["refused-stream", ["refused"]],
  ["retriable-4xx", []],
  ["503", []],
  ["unavailable", []],
];

for (const [retryOn, retried] of failures) {
  Deno.test(`retry on "${retryOn}" retries failed attempts: ${retried.join(", ") || "none"}`, () => {
    const all: AttemptFailure[] = ["connect", "reset", "refused", "perTryTimeout", "overflow"];
    assert.deepEqual(all.filter((failure) => retriesFailure(policy([retryOn]), failure)), retried);
  });
}

Deno.test("an open circuit breaker is never tried again", () => {
  assert.ok(
    !retriesFailure(policy(["5xx", "gateway-error", "reset", "connect-failure", "refused-stream"]), "overflow"),
  );
});

Deno.test("back-off doubles from its base up to its limit, jittered over the whole range", () => {
  const settings = policy(["5xx"]);
  const highest = [1, 2, 3, 4, 5, 6, 60].map((retry) => backOff(settings, retry, 0.9999999));
  assert.deepEqual(highest, [24, 49, 99, 199, 249, 249, 249]);
  assert.equal(backOff(settings, 5, 0), 0);
  assert.equal(backOff(settings, 2, 0.5), 25);
});

Deno.test("what a caller asks for is added to the policy; without a policy a condition is needed", () => {
  const nothing = { retryOn: [], maxRetries: null, statusCodes: [] };
  const own = policy(["5xx"]);
  assert.equal(callersRetryPolicy(own, nothing), own);
  assert.equal(callersRetryPolicy(null, { ...nothing, maxRetries: 5, statusCodes: [404] }), null);
  const more = callersRetryPolicy(own, { retryOn: ["retriable-4xx", "unheard-of"], maxRetries: 7, statusCodes: [] })!;
  assert.equal(more.numRetries, 7);
  assert.ok(retriesResponse(more, 500, -1) && retriesResponse(more, 409, -1) && !retriesResponse(more, 404, -1));
  const fresh = callersRetryPolicy(null, {
    retryOn: ["retriable-status-codes"],
    maxRetries: null,
    statusCodes: [404],
  })!;
  assert.equal(fresh.numRetries, 1);
  assert.ok(retriesResponse(fresh, 404, -1) && !retriesResponse(fresh, 500, -1));
});

Deno.test("what another rate limit refused is tried again only where the policy says so", () => {
  assert.ok(!retriesResponse(policy(["5xx", "retriable-status-codes"], [429]), 429, -1, true));
  assert.ok(retriesResponse(policy(["envoy-ratelimited"]), 429, -1, true));
  assert.ok(!retriesResponse(policy(["envoy-ratelimited"]), 429, -1));
});

Deno.test("a budget is a share of the requests under way, and never less than its minimum", () => {
  const budget = { percent: 20, minimumConcurrency: 3 };
  assert.deepEqual([2, 3].map((active) => withinBudget(budget, active, 0)), [true, false]);
  assert.deepEqual([19, 20].map((active) => withinBudget(budget, active, 100)), [true, false]);
  assert.ok(!withinBudget({ percent: 0, minimumConcurrency: 0 }, 0, 100));
});
