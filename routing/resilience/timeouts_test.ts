import assert from "node:assert/strict";
import { formatGrpcTimeout, parseCount, parseGrpcTimeout, RequestTimeouts, type RouteTimeouts } from "./timeouts.ts";

/** What a request gets: timeout, attempt's timeout, stream's duration. */
function settled(
  route: RouteTimeouts,
  asked: { isGrpc?: boolean; grpc?: number; timeout?: number; perTry?: number } = {},
  perTry = 0,
  managers = 0,
): [number, number, number] {
  const timeouts = new RequestTimeouts();
  timeouts.ofRoute(route, perTry, managers);
  const { isGrpc = false, grpc = null, timeout = null, perTry: askedPerTry = null } = asked;
  timeouts.ofCaller(route, { isGrpc, grpc, timeout, perTry: askedPerTry }, perTry);
  return [timeouts.timeout, timeouts.perTry, timeouts.streamDuration];
}

Deno.test("a caller's timeout goes before the route's, and an attempt has no more time than the whole", () => {
  assert.deepEqual(settled({ timeout: 1000 }, {}, 300), [1000, 300, -1]);
  assert.deepEqual(settled({ timeout: 1000 }, { timeout: 200 }, 300), [200, 0, -1]);
  assert.deepEqual(settled({ timeout: 1000 }, { perTry: 100 }, 300), [1000, 100, -1]);
  assert.deepEqual(settled({ timeout: 1000 }, { perTry: 1000 }), [1000, 0, -1]);
  assert.deepEqual(settled({ timeout: 0 }, { perTry: 1000 }), [0, 1000, -1]);
});

Deno.test("a stream's duration is the route's, else the connection manager's, and 0 lifts it", () => {
  assert.deepEqual(settled({ timeout: 10 }, {}, 0, 500), [10, 0, 500]);
  assert.deepEqual(settled({ timeout: 10, newTimeouts: true, maxStreamDuration: 0 }, {}, 0, 500), [0, 0, -1]);
  assert.deepEqual(settled({ timeout: 10, newTimeouts: true, maxStreamDuration: 70 }, {}, 0, 500), [0, 0, 70]);
});

Deno.test("a deadline of gRPC is cut, then shortened, and may be over at once", () => {
  const route = { timeout: 10, newTimeouts: true, grpcTimeoutHeaderMax: 100, grpcTimeoutHeaderOffset: 20 };
  assert.deepEqual(settled(route, { grpc: 50 }), [0, 0, 30]);
  assert.deepEqual(settled(route, { grpc: 500 }), [0, 0, 80]);
  assert.deepEqual(settled(route, { grpc: 20 }), [0, 0, 0]);
  assert.deepEqual(settled({ ...route, grpcTimeoutHeaderMax: 0 }, { grpc: 500 }), [0, 0, 480]);
  assert.deepEqual(settled({ timeout: 10 }, { isGrpc: true, grpc: 500 }), [10, 0, -1]);
});

Deno.test("the older fields make it the timeout, and never less than the offset", () => {
  const route = { timeout: 10, maxGrpcTimeout: 100, grpcTimeoutOffset: 20 };
  assert.deepEqual(settled(route, { isGrpc: true, grpc: 50 }), [30, 0, -1]);
  assert.deepEqual(settled(route, { isGrpc: true, grpc: 20 }), [20, 0, -1]);
  assert.deepEqual(settled(route, { isGrpc: true }), [100, 0, -1]);
  assert.deepEqual(settled({ ...route, maxGrpcTimeout: 0 }, { isGrpc: true }), [0, 0, -1]);
  assert.deepEqual(settled(route, { isGrpc: false, grpc: 50 }), [10, 0, -1]);
});

Deno.test("the upstream is told the attempt's time, or what is left of the whole, and never 0", () => {
  const timeouts = new RequestTimeouts();
  timeouts.ofRoute({ timeout: 1000 }, 300, 0);
  assert.deepEqual([timeouts.expected(0), timeouts.expected(800), timeouts.expected(5000)], [300, 200, 1]);
  timeouts.ofRoute({ timeout: 0 }, 300, 0);
  assert.deepEqual([timeouts.expected(0), timeouts.expected(5000)], [300, 300]);
  timeouts.ofRoute({ timeout: 0 }, 0, 0);
  assert.equal(timeouts.expected(0), 0);
});

Deno.test("grpc-timeout is at most eight digits and a unit", () => {
  const read = ["1H", "2M", "3S", "4m", "5000u", "1n", "99999999m"].map(parseGrpcTimeout);
  assert.deepEqual(read, [3_600_000, 120_000, 3000, 4, 5, 1, 99_999_999]);
  for (const text of ["", "m", "1", "-1m", "1 m", "1s", "123456789m", "0x1m", "1.5S"]) {
    assert.equal(parseGrpcTimeout(text), null, text);
  }
  for (const time of [1, 1500, 99_999_999, 100_000_000, 1e12]) {
    const told = parseGrpcTimeout(formatGrpcTimeout(time))!;
    assert.ok(told <= time && told > time * 0.999, `${time}: ${told}`);
  }
});

Deno.test("a count is digits alone", () => {
  assert.deepEqual(["0", "15", "", "1.5", "-1", "0x1", " 1", "1e3"].map(parseCount), [
    0,
    15,
    null,
    null,
    null,
    null,
    null,
    null,
  ]);
});
