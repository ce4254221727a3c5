import assert from "node:assert/strict";
import { ClusterSlot, HostSlot } from "../config/shared_memory.ts";
import type { ClusterConfig, EndpointsConfig } from "../config/model.ts";
import { sweepOutliers } from "./outlier_sweep.ts";
import { OutOfSlotsError, Slots } from "./slots.ts";

const labels = {
  workload: "",
  namespace: "",
  app: "",
  version: "",
  canonicalService: "",
  canonicalRevision: "",
  cluster: "",
};

function cluster(name: string, interval = 0): ClusterConfig {
  return { name, slot: 0, outlierDetection: { interval } } as ClusterConfig;
}

function endpoints(name: string, ...addresses: string[]): EndpointsConfig {
  return {
    cluster: name,
    panicThreshold: 50,
    localities: [{
      priority: 0,
      locality: "",
      weight: 1,
      endpoints: addresses.map((address) => ({
        address,
        port: 80,
        weight: 1,
        healthy: true,
        transportSocketMatch: {},
        workload: labels,
        slot: 0,
      })),
    }],
  };
}

function slotsOf(placed: EndpointsConfig): number[] {
  return placed.localities.flatMap((locality) => locality.endpoints.map((endpoint) => endpoint.slot));
}

function memory(length = 1000): SharedArrayBuffer {
  return new SharedArrayBuffer(length * 4);
}

Deno.test("a cluster and its endpoints keep their slots across updates", () => {
  const slots = new Slots(memory());
  const first = slots.placeCluster("p", cluster("c")).slot;
  const [a, b] = slotsOf(slots.placeEndpoints("p", endpoints("c", "10.0.0.1", "10.0.0.2")));
  assert.equal(slots.placeCluster("p", cluster("c")).slot, first);
  assert.deepEqual(slotsOf(slots.placeEndpoints("p", endpoints("c", "10.0.0.2", "10.0.0.3", "10.0.0.1"))), [
    b,
    b + HostSlot.length,
    a,
  ]);
  assert.notEqual(slots.placeCluster("q", cluster("c")).slot, first);
});

Deno.test("a freed slot is reused and zeroed only after it has rested", () => {
  let now = 0;
  const slots = new Slots(memory(), () => now);
  const [old] = slotsOf(slots.placeEndpoints("p", endpoints("c", "10.0.0.1")));
  slots.counters[old + HostSlot.activeRequests] = 7;
  slots.placeEndpoints("p", endpoints("c"));
  assert.notDeepEqual(slotsOf(slots.placeEndpoints("p", endpoints("c", "10.0.0.2"))), [old]);
  assert.equal(slots.counters[old + HostSlot.activeRequests], 7);
  now = 3_600_000;
  assert.deepEqual(slotsOf(slots.placeEndpoints("p", endpoints("c", "10.0.0.2", "10.0.0.3")))[1], old);
  assert.equal(slots.counters[old + HostSlot.activeRequests], 0);
});

Deno.test("an ejected endpoint that leaves no longer counts as ejected", () => {
  const slots = new Slots(memory());
  const placed = slots.placeCluster("p", cluster("c"));
  const [host] = slotsOf(slots.placeEndpoints("p", endpoints("c", "10.0.0.1")));
  slots.counters[host + HostSlot.ejected] = 1;
  slots.counters[placed.slot + ClusterSlot.ejectedHosts] = 1;
  slots.placeEndpoints("p", endpoints("c"));
  assert.equal(slots.counters[placed.slot + ClusterSlot.ejectedHosts], 0);
});

Deno.test("a removed proxy's places are all freed", () => {
  const slots = new Slots(memory());
  slots.placeEndpoints("p", endpoints("c", "10.0.0.1"));
  slots.removeProxy("p");
  assert.deepEqual([...slots.hosts(), ...slots.clusters()], []);
});

Deno.test("running out of slots is a typed error", () => {
  const slots = new Slots(memory(2 * ClusterSlot.length + 5));
  slots.placeCluster("p", cluster("a"));
  assert.throws(() => slots.placeCluster("p", cluster("b")), OutOfSlotsError);
});

Deno.test("an ejection ends when its time is over, and not before", () => {
  const slots = new Slots(memory());
  const placed = slots.placeCluster("p", cluster("c", 10_000));
  const [host] = slotsOf(slots.placeEndpoints("p", endpoints("c", "10.0.0.1")));
  slots.counters[host + HostSlot.ejected] = 1;
  slots.counters[host + HostSlot.ejectedUntil] = 30;
  slots.counters[host + HostSlot.consecutive5xx] = 5;
  slots.counters[host + HostSlot.ejections] = 2;
  slots.counters[placed.slot + ClusterSlot.ejectedHosts] = 1;
  assert.equal(sweepOutliers(slots.counters, slots.hosts(), 29, 28), 0);
  assert.equal(sweepOutliers(slots.counters, slots.hosts(), 30, 29), 1);
  assert.equal(slots.counters[host + HostSlot.ejected], 0);
  assert.equal(slots.counters[host + HostSlot.consecutive5xx], 0);
  assert.equal(slots.counters[placed.slot + ClusterSlot.ejectedHosts], 0);
  assert.equal(slots.counters[host + HostSlot.ejections], 2);
  sweepOutliers(slots.counters, slots.hosts(), 31, 30);
  assert.equal(slots.counters[host + HostSlot.ejections], 2);
  sweepOutliers(slots.counters, slots.hosts(), 40, 39);
  assert.equal(slots.counters[host + HostSlot.ejections], 1);
});
