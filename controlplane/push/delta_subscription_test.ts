import { deepEqual, equal, notEqual, ok, throws } from "node:assert/strict";
import { type Arrangement, arrangements, availableResources } from "../testing/available_resources.ts";
import { DeltaSubscription, type DeltaSubscriptionRequest } from "./delta_subscription.ts";
import { type Subscription, SubscriptionError } from "./subscription.ts";

function request(changes: Partial<DeltaSubscriptionRequest> = {}): DeltaSubscriptionRequest {
  return { resourceNamesSubscribe: [], resourceNamesUnsubscribe: [], initialResourceVersions: {}, ...changes };
}

let arrangement: Arrangement = "own";

/** A test that must hold however the proxy has its resources. */
function test(name: string, run: () => void): void {
  for (const each of arrangements) {
    Deno.test(`${name} (${each})`, () => {
      arrangement = each;
      run();
    });
  }
}

/** Sends what is lacking, and returns it in short. */
function push(
  subscription: Subscription<DeltaSubscriptionRequest>,
  versions: Record<string, string>,
  nonce: string,
  keepRemoved = false,
) {
  const difference = subscription.difference(availableResources(() => versions, arrangement), keepRemoved);
  if (difference === null) return null;
  subscription.sent(difference, nonce, 0);
  const sent = [...difference.shared, ...difference.resources].map(({ name, version }) => `${name}@${version}`);
  return { sent: sent.sort(), removed: difference.removed };
}

test("a wildcard gets all, then what changed, then what is gone", () => {
  const subscription = new DeltaSubscription("CDS", request());
  deepEqual(push(subscription, { a: "1", b: "1" }, "1"), { sent: ["a@1", "b@1"], removed: [] });
  subscription.acknowledge("1", 0);
  deepEqual(push(subscription, { a: "1", b: "2" }, "2"), { sent: ["b@2"], removed: [] });
  subscription.acknowledge("2", 0);
  deepEqual(push(subscription, { b: "2" }, "3"), { sent: [], removed: ["a"] });
  subscription.acknowledge("3", 0);
  equal(push(subscription, { b: "2" }, "4"), null);
});

test("names get what they name, and are told what does not exist, once", () => {
  const subscription = new DeltaSubscription("EDS", request({ resourceNamesSubscribe: ["a", "none"] }));
  deepEqual(push(subscription, { a: "1", b: "1" }, "1"), { sent: ["a@1"], removed: ["none"] });
  subscription.acknowledge("1", 0);
  equal(push(subscription, { a: "1", b: "1" }, "2"), null);
  deepEqual(push(subscription, { a: "1", none: "1" }, "2"), { sent: ["none@1"], removed: [] });
});

test("the first request is answered even when nothing is lacking", () => {
  const subscription = new DeltaSubscription("CDS", request({ initialResourceVersions: { a: "1" } }));
  deepEqual(push(subscription, { a: "1" }, "1"), { sent: [], removed: [] });
});

test("a name subscribed to again is sent again, and one unsubscribed no more", () => {
  const subscription = new DeltaSubscription("EDS", request({ resourceNamesSubscribe: ["a", "b"] }));
  push(subscription, { a: "1", b: "1" }, "1");
  subscription.acknowledge("1", 0);
  subscription.change(request({ resourceNamesSubscribe: ["a"], resourceNamesUnsubscribe: ["b"] }));
  deepEqual(push(subscription, { a: "1", b: "2" }, "2"), { sent: ["a@1"], removed: [] });
});

test("what was refused goes out again with the next change, and not before", () => {
  const subscription = new DeltaSubscription("CDS", request());
  push(subscription, { a: "1", b: "1" }, "1");
  subscription.acknowledge("1", 0);
  push(subscription, { a: "2", b: "2" }, "2");
  equal(subscription.reject("2", "b: not implemented"), true);
  equal(subscription.status().status, "NACK");
  equal(push(subscription, { a: "2", b: "2" }, "3"), null);
  // The client took neither of the two.
  deepEqual(push(subscription, { a: "2", b: "3" }, "3"), { sent: ["a@2", "b@3"], removed: [] });
  subscription.acknowledge("3", 0);
  equal(subscription.status().status, "SYNCED");
});

test("a refused change that is taken back leaves the proxy in sync", () => {
  const subscription = new DeltaSubscription("CDS", request());
  push(subscription, { a: "1" }, "1");
  subscription.acknowledge("1", 0);
  push(subscription, { a: "2" }, "2");
  subscription.reject("2", "no");
  equal(push(subscription, { a: "1" }, "3"), null);
  equal(subscription.status().status, "SYNCED");
  equal(subscription.status().staleSince, undefined);
});

test("answers to anything but the last response change nothing", () => {
  const subscription = new DeltaSubscription("CDS", request());
  push(subscription, { a: "1" }, "1");
  equal(subscription.acknowledge("0", 0), null);
  equal(subscription.reject("0", "no"), false);
  equal(subscription.status().status, "STALE");
  equal(subscription.acknowledge("1", 250), 250);
});

test("what is to be removed can be kept for the time being", () => {
  const subscription = new DeltaSubscription("CDS", request());
  push(subscription, { a: "1", b: "1" }, "1");
  subscription.acknowledge("1", 0);
  deepEqual(push(subscription, { b: "2" }, "2", true), { sent: ["b@2"], removed: [] });
  subscription.acknowledge("2", 0);
  equal(push(subscription, { b: "2" }, "3", true), null);
  deepEqual(push(subscription, { b: "2" }, "3"), { sent: [], removed: ["a"] });
});

test("the version tells what the client has: equal for equal content, whatever the way there", () => {
  const direct = new DeltaSubscription("CDS", request());
  push(direct, { a: "2", b: "1" }, "1");
  const stepwise = new DeltaSubscription("CDS", request());
  push(stepwise, { b: "1" }, "1");
  const first = stepwise.status().sent;
  stepwise.acknowledge("1", 0);
  push(stepwise, { b: "1", a: "2" }, "2");
  equal(stepwise.status().sent, direct.status().sent);
  notEqual(first, direct.status().sent);
  ok(first);
});

test("names without end are refused", () => {
  const names = Array.from({ length: 100_001 }, (_, index) => String(index));
  throws(() => new DeltaSubscription("EDS", request({ resourceNamesSubscribe: names })), SubscriptionError);
});
