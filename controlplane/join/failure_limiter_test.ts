import { equal, ok } from "node:assert/strict";
import { FailureLimiter } from "./failure_limiter.ts";

function limiterAt(start: number) {
  const clock = { now: start };
  return { clock, limiter: new FailureLimiter(() => clock.now) };
}

function fail(limiter: FailureLimiter, address: string, times: number) {
  for (let i = 0; i < times; i++) limiter.failed(address);
}

Deno.test("an address may fail ten times at once, then once every six seconds", () => {
  const { clock, limiter } = limiterAt(0);
  fail(limiter, "192.0.2.1", 9);
  equal(limiter.delayFor("192.0.2.1"), 0);
  limiter.failed("192.0.2.1");
  equal(limiter.delayFor("192.0.2.1"), 6000);
  equal(limiter.delayFor("192.0.2.2"), 0);
  clock.now = 6001;
  equal(limiter.delayFor("192.0.2.1"), 0);
  limiter.failed("192.0.2.1");
  ok(limiter.delayFor("192.0.2.1") > 5000);
});

Deno.test("the addresses of one IPv6 network fail together, those of two apart", () => {
  const { limiter } = limiterAt(0);
  fail(limiter, "2001:db8::1", 5);
  fail(limiter, "2001:db8:0:0:1::2", 5);
  ok(limiter.delayFor("2001:db8::ffff") > 0);
  equal(limiter.delayFor("2001:db8:0:1::1"), 0);
  fail(limiter, "::ffff:192.0.2.1", 10);
  ok(limiter.delayFor("192.0.2.1") > 0);
});

Deno.test("remembers a bounded number of addresses, and forgets the quiet ones first", () => {
  const { limiter } = limiterAt(0);
  fail(limiter, "192.0.2.1", 10);
  for (let i = 0; i < 9_999; i++) limiter.failed(`10.0.${i >> 8}.${i & 255}`);
  ok(limiter.delayFor("192.0.2.1") > 0);
  limiter.failed("10.1.0.0");
  equal(limiter.delayFor("192.0.2.1"), 0);
  equal(limiter.size, 10_000);
});
