import { deepEqual, equal } from "node:assert/strict";
import type { WorkloadNode } from "../../routing/xds/node.ts";
import type { Registration } from "../store/store.ts";
import { testNode } from "../testing/test_node.ts";
import { RegisteredWorkloads, type RegistrationStore, workloadKey } from "./registered_workloads.ts";

class MemoryStore implements RegistrationStore {
  readonly nodes = new Map<string, WorkloadNode>();
  registrations = () => Promise.resolve([...this.nodes].map(([key, node]) => ({ key, node })));
  putRegistration = ({ key, node }: Registration) => Promise.resolve(void this.nodes.set(key, node));
  deleteRegistration = (key: string) => Promise.resolve(void this.nodes.delete(key));
}

async function opened(gracePeriod: number, store = new MemoryStore()) {
  const state = { changes: 0 };
  const change = Promise.withResolvers<void>();
  const workloads = await RegisteredWorkloads.open({
    store,
    gracePeriod,
    onChange() {
      state.changes++;
      if (workloads.list().length === 0) change.resolve();
    },
  });
  return { workloads, store, state, empty: change.promise };
}

const addresses = (workloads: RegisteredWorkloads) => workloads.list().map(({ node }) => node.address);

Deno.test("a workload whose stream ended leaves after the grace period", async () => {
  const { workloads, store, empty } = await opened(20);
  workloads.connect("1", testNode());
  workloads.disconnect("1");
  deepEqual(addresses(workloads), ["127.0.1.1"]);
  await empty;
  await workloads.close();
  equal(store.nodes.size, 0);
});

Deno.test("coming back within the grace period is no change", async () => {
  const { workloads, state } = await opened(60_000);
  workloads.connect("1", testNode());
  workloads.disconnect("1");
  workloads.connect("2", testNode());
  equal(state.changes, 1);
  await workloads.close();
});

Deno.test("the newest of two streams speaks for the workload, and its end leaves the other", async () => {
  const { workloads } = await opened(60_000);
  workloads.connect("old", testNode());
  workloads.connect("new", testNode({ address: "127.0.1.2" }));
  deepEqual(addresses(workloads), ["127.0.1.2"]);
  workloads.setHealth("old", false);
  equal(workloads.list()[0].healthy, true);
  workloads.disconnect("new");
  deepEqual(addresses(workloads), ["127.0.1.1"]);
  equal(workloads.list()[0].healthy, false);
  await workloads.close();
});

Deno.test("health that was reported holds until the agent reports again, over a reconnection too", async () => {
  const { workloads, state } = await opened(60_000);
  workloads.connect("1", testNode());
  workloads.setHealth("1", false);
  workloads.disconnect("1");
  workloads.connect("2", testNode());
  equal(workloads.list()[0].healthy, false);
  workloads.setHealth("2", true);
  equal(workloads.list()[0].healthy, true);
  equal(state.changes, 3);
  await workloads.close();
});

Deno.test("after a restart the workloads of before are there, until their time to come back is over", async () => {
  const store = new MemoryStore();
  store.nodes.set(workloadKey(testNode()), testNode());
  const { workloads, empty } = await opened(10, store);
  deepEqual(addresses(workloads), ["127.0.1.1"]);
  await empty;
  await workloads.close();
  equal(store.nodes.size, 0);
});

Deno.test("closing keeps registrations in the store", async () => {
  const { workloads, store } = await opened(1);
  workloads.connect("1", testNode());
  workloads.disconnect("1");
  await workloads.close();
  await new Promise((resolve) => setTimeout(resolve, 20));
  equal(store.nodes.size, 1);
});
