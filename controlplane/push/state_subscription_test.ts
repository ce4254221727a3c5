import { deepEqual, equal, throws } from "node:assert/strict";
import type { ResourceType } from "./resource_types.ts";
import { availableResources } from "../testing/available_resources.ts";
import { StateSubscription } from "./state_subscription.ts";
import { SubscriptionError } from "./subscription.ts";

/** A client of one type that takes what it is sent unless the test refuses it. */
function client(type: ResourceType, resourceNames: string[]) {
  const subscription = new StateSubscription(type, { resourceNames });
  let nonce = 0;
  return {
    subscription,
    /** What goes out of these versions, as `a@1`; `null`: nothing. */
    push(versions: Record<string, string>, keepRemoved = false): string[] | null {
      const difference = subscription.difference(availableResources(() => versions), keepRemoved);
      if (difference === null) return null;
      subscription.sent(difference, String(++nonce), 0);
      return difference.resources.map(({ name, version }) => `${name}@${version}`);
    },
    acknowledge(names = resourceNames) {
      equal(subscription.acknowledge(String(nonce), 0), 0);
      subscription.change({ resourceNames: names }, true);
    },
    refuse() {
      equal(subscription.reject(String(nonce), "no"), true);
      subscription.change({ resourceNames }, true);
    },
    /** A request that answers nothing. */
    ask: (names: string[]) => subscription.change({ resourceNames: names }, false),
  };
}

Deno.test("clusters and listeners: a request without names gets all, and all again when one changes or goes", () => {
  for (const [type, names] of [["CDS", []], ["LDS", ["*"]]] as [ResourceType, string[]][]) {
    const { push, acknowledge } = client(type, names);
    deepEqual(push({ a: "1", b: "1" }), ["a@1", "b@1"]);
    acknowledge();
    equal(push({ a: "1", b: "1" }), null);
    deepEqual(push({ a: "2", b: "1" }), ["a@2", "b@1"]);
    acknowledge();
    deepEqual(push({ b: "1" }), ["b@1"]);
  }
});

Deno.test("endpoints and routes: names get what they name, then what has changed", () => {
  const { push, acknowledge } = client("EDS", ["a", "b", "none"]);
  deepEqual(push({ a: "1", b: "1", c: "1" }), ["a@1", "b@1"]);
  acknowledge();
  equal(push({ a: "1", b: "1", c: "2" }), null);
  deepEqual(push({ a: "1", b: "2", c: "2" }), ["b@2"]);
  acknowledge(["b", "c"]);
  deepEqual(push({ a: "1", b: "2", c: "2" }), ["c@2"]);
  acknowledge(["a", "b", "c"]);
  deepEqual(push({ a: "1", b: "2", c: "2" }), ["a@1"], "what it had given up it gets anew");
});

Deno.test("endpoints without names are asked for by nobody", () => {
  const { push } = client("EDS", []);
  equal(push({ a: "1" }), null);
});

Deno.test("a request that answers nothing is sent all that it names, once", () => {
  const { push, acknowledge, ask } = client("EDS", ["a", "b"]);
  push({ a: "1", b: "1" });
  acknowledge();
  ask(["a", "b"]);
  deepEqual(push({ a: "1", b: "1" }), ["a@1", "b@1"]);
  acknowledge();
  equal(push({ a: "1", b: "1" }), null);
});

Deno.test("a client of named listeners that names none any more has given them up", () => {
  const { push, acknowledge, ask } = client("LDS", ["a"]);
  deepEqual(push({ a: "1", b: "1" }), ["a@1"]);
  acknowledge();
  ask([]);
  deepEqual(push({ a: "1", b: "1" }), []);
});

Deno.test("that there are no listeners is said, once", () => {
  const { push, acknowledge } = client("LDS", ["none"]);
  deepEqual(push({}), []);
  acknowledge();
  equal(push({}), null);
});

Deno.test("what was refused goes out again with the next change, and not before", () => {
  const { subscription, push, acknowledge, refuse } = client("CDS", []);
  push({ a: "1" });
  acknowledge();
  push({ a: "2" });
  refuse();
  equal(subscription.status().status, "NACK");
  equal(push({ a: "2" }), null);
  deepEqual(push({ a: "2", b: "1" }), ["a@2", "b@1"]);
  refuse();
  equal(push({ a: "1" }), null, "it has this");
  equal(subscription.status().status, "SYNCED");
});

Deno.test("clusters that are gone stay for the time being where routes may point to them", () => {
  const { push, acknowledge } = client("CDS", []);
  push({ a: "1", b: "1" });
  acknowledge();
  deepEqual(push({ a: "2" }, true), ["a@2", "b@1"]);
  acknowledge();
  deepEqual(push({ a: "2" }), ["a@2"]);
});

Deno.test("names without end are refused", () => {
  const names = Array.from({ length: 100_001 }, (_, index) => String(index));
  throws(() => client("EDS", names), SubscriptionError);
});
