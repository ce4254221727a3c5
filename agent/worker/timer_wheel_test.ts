import assert from "node:assert/strict";
import { Timer, TimerWheel } from "./timer_wheel.ts";

function raise(error: unknown): never {
  throw error;
}

Deno.test("a timer fires at its deadline and not before", () => {
  const wheel = new TimerWheel(1000.5, raise);
  let fired = 0;
  const timer = new Timer(() => fired++);
  wheel.set(timer, 1025.2);
  wheel.advance(1025.1);
  assert.equal(fired, 0);
  wheel.advance(1026.3);
  assert.equal(fired, 1);
  assert.equal(timer.armed, false);
});

Deno.test("a deadline more than one turn of the wheel away waits for its turn", () => {
  const wheel = new TimerWheel(0, raise);
  let fired = 0;
  wheel.set(new Timer(() => fired++), 10_000);
  for (let now = 0; now < 9_999; now += 7) wheel.advance(now);
  assert.equal(fired, 0);
  wheel.advance(10_001);
  assert.equal(fired, 1);
});

Deno.test("a cleared timer does not fire, an armed one can be moved", () => {
  const wheel = new TimerWheel(0, raise);
  const order: string[] = [];
  const a = new Timer(() => order.push("a"));
  const b = new Timer(() => order.push("b"));
  wheel.set(a, 10);
  wheel.set(b, 10);
  wheel.clear(a);
  wheel.set(b, 30);
  wheel.advance(20);
  assert.deepEqual(order, []);
  wheel.advance(31);
  assert.deepEqual(order, ["b"]);
});

Deno.test("a timer may arm itself and clear others while it fires", () => {
  const wheel = new TimerWheel(0, raise);
  let count = 0;
  const other = new Timer(() => assert.fail("was cleared"));
  const timer: Timer = new Timer(() => {
    wheel.clear(other);
    if (++count < 3) wheel.set(timer, count * 10 + 10);
  });
  wheel.set(timer, 10);
  wheel.set(other, 10);
  for (let now = 0; now <= 100; now += 5) wheel.advance(now);
  assert.equal(count, 3);
});

Deno.test("the timeout for epoll reaches to the next timer and is -1 without one", () => {
  const wheel = new TimerWheel(0, raise);
  assert.equal(wheel.timeout(0), -1);
  const timer = new Timer(() => {});
  wheel.set(timer, 100);
  assert.equal(wheel.timeout(40), 60);
  assert.equal(wheel.timeout(200), 0);
  for (let delay = 1; delay < 4000; delay += 97) {
    wheel.set(timer, delay);
    assert.equal(wheel.timeout(0), delay);
  }
  wheel.clear(timer);
  assert.equal(wheel.timeout(0), -1);
});

Deno.test("a timer that throws is told of and keeps no other from firing", () => {
  const faults: unknown[] = [];
  const wheel = new TimerWheel(0, (error) => faults.push(error));
  let fired = 0;
  wheel.set(
    new Timer(() => {
      throw new Error("broken");
    }),
    10,
  );
  wheel.set(new Timer(() => fired++), 10);
  wheel.advance(11);
  assert.equal(fired, 1);
  assert.equal(faults.length, 1);
});
