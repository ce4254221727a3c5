import assert from "node:assert/strict";
import type { ClusterConfig, EndpointsConfig, ListenerConfig, RouteConfig } from "../config/model.ts";
import type { ResourceUpdate } from "./ads_client.ts";
import { type Change, emptySet, MakeBeforeBreak } from "./make_before_break.ts";
import { ResourceCache, ResourceCacheError } from "./resource_cache.ts";
import type { Translated } from "./translation.ts";
import { clusterType, endpointType, listenerType, type ResourceType, routeType } from "./type_urls.ts";
import { WatchedNames } from "../dns/watched_names.ts";
import { WorkloadConfiguration } from "./workload_configuration.ts";

const cluster = (name: string) => ({ name, type: "eds" }) as ClusterConfig;
const endpoints = (name: string): EndpointsConfig => ({ cluster: name, localities: [], panicThreshold: 50 });
const route = (name: string, ...clusters: string[]) =>
  ({
    name,
    virtualHosts: [{
      routes: clusters.map((cluster) => ({ action: { kind: "route", clusters: [{ name: cluster }] } })),
    }],
  }) as RouteConfig;
const listener = (name: string, route: string) =>
  ({ name, filterChains: [{ http: { routeConfigName: route }, tcp: null }] }) as ListenerConfig;

/** Resources of these tests are their translation in JSON; `refuse` for name or value refuses. */
function translate(type: ResourceType, name: string, value: Uint8Array): Translated {
  const one = JSON.parse(new TextDecoder().decode(value));
  if (name === "refuse" || one === "refuse") throw new Error("filter_chains[0].filters[0]: unsupported");
  const nothing: Translated = { clusters: [], endpoints: [], routes: [], listeners: [], secrets: [] };
  if (type === clusterType) return { ...nothing, clusters: [one] };
  if (type === endpointType) return { ...nothing, endpoints: [one] };
  return type === routeType ? { ...nothing, routes: [one] } : { ...nothing, listeners: [one] };
}

function update(type: ResourceType, named: Record<string, unknown>, removed: string[] = []): ResourceUpdate {
  const resources = Object.entries(named).map(([name, one]) => ({
    name,
    version: "1",
    value: new TextEncoder().encode(JSON.stringify(one)),
  }));
  return { type, resources, removed };
}

class Bench {
  readonly changes: Change[] = [];
  saved: string | null = null;
  failure: Error | null = null;

  open(owner = "node-1"): WorkloadConfiguration {
    return new WorkloadConfiguration({
      workload: "w",
      owner,
      translate,
      apply: (change) => {
        this.changes.push(change);
        return this.failure === null ? Promise.resolve() : Promise.reject(this.failure);
      },
      names: new WatchedNames(() => Promise.reject(new Error("no names here"))),
      mayDial: () => true,
      storage: {
        read: () => Promise.resolve(this.saved),
        write: (text) => {
          this.saved = text;
          return Promise.resolve();
        },
      },
    });
  }

  /** What each change carried, in words. */
  get told(): string[] {
    return this.changes.map((change) =>
      [
        ...change.clusters.map((one) => `+cluster ${one.name}`),
        ...change.endpoints.map((one) => `+endpoints ${one.cluster}`),
        ...change.routes.map((one) => `+route ${one.name}`),
        ...change.listeners.map((one) => `+listener ${one.name}`),
        ...change.removedListeners.map((name) => `-listener ${name}`),
        ...change.removedRoutes.map((name) => `-route ${name}`),
        ...change.removedClusters.map((name) => `-cluster ${name}`),
      ].join(" ")
    );
  }
}

const whole = [
  update(clusterType, { a: cluster("a") }),
  update(endpointType, { a: endpoints("a") }),
  update(listenerType, { l: listener("l", "r") }),
  update(routeType, { r: route("r", "a") }),
];

Deno.test("a listener waits for its routes, and these for their clusters' endpoints", async () => {
  const bench = new Bench();
  const configuration = bench.open();
  await configuration.update([whole[0], whole[2]]);
  assert.equal(configuration.missing(), "no endpoints of a yet");
  await configuration.update([whole[3]]);
  await configuration.update([whole[1]]);
  assert.equal(configuration.missing(), null);
  assert.deepEqual(bench.told, ["+cluster a", "+endpoints a +route r +listener l"]);
  await configuration.close();
});

Deno.test("a cluster that goes stays until no route in force names it", async () => {
  const bench = new Bench();
  const configuration = bench.open();
  await configuration.update(whole);
  await configuration.update([update(clusterType, { b: cluster("b") }, ["a"])]);
  await configuration.update([update(routeType, { r: route("r", "b") })]);
  await configuration.update([update(endpointType, { b: endpoints("b") })]);
  assert.deepEqual(bench.told.slice(1), ["+cluster b", "+endpoints b +route r -cluster a"]);
  await configuration.close();
});

Deno.test("nothing waits for ever", () => {
  const wanted = emptySet();
  wanted.clusters.set("a", cluster("a"));
  wanted.routes.set("r", route("r", "a"));
  const step = new MakeBeforeBreak();
  const silent = { endpoints: () => false, route: () => false };
  assert.equal(step.step(wanted, silent, 1000).routes.length, 0);
  assert.equal(step.deadline, 16_000);
  assert.equal(step.step(wanted, silent, 15_999).routes.length, 0);
  assert.equal(step.step(wanted, silent, 16_000).routes.length, 1);
  assert.equal(step.deadline, null);
});

Deno.test("of a response with bad resources the good ones are taken, and each bad one is named and stays as it was", async () => {
  const bench = new Bench();
  const configuration = bench.open();
  await configuration.update(whole);
  const verdicts = await configuration.update([
    update(listenerType, { refuse: {}, m: listener("m", "r"), l: "refuse", n: listener("n", "r") }, ["gone"]),
    update(clusterType, { c: cluster("c") }),
  ]);
  assert.match(verdicts[0] ?? "", /^refuse: filter_chains\[0\].*; l: /);
  assert.equal(verdicts[1], null);
  assert.deepEqual(bench.told.slice(1), ["+cluster c +listener m +listener n"]);
  assert.equal(configuration.inForce.listeners.get("l")?.filterChains[0].http?.routeConfigName, "r");
  // What was refused is not said to be held: a new stream is sent it again.
  assert.deepEqual(configuration.versions(listenerType), { l: "1", m: "1", n: "1" });
  await configuration.close();
});

Deno.test("what the data threads cannot do refuses the listeners of the change", async () => {
  const bench = new Bench();
  const configuration = bench.open();
  bench.failure = new Error("127.0.0.1:80: address in use");
  assert.deepEqual((await configuration.update(whole)).map((verdict) => verdict !== null), [false, false, true, false]);
  assert.match(configuration.missing() ?? "", /address in use/);
  await configuration.close();
});

Deno.test("endpoints that no longer exist are taken away, not kept", async () => {
  const bench = new Bench();
  const configuration = bench.open();
  await configuration.update(whole);
  await configuration.update([update(endpointType, {}, ["a"])]);
  assert.deepEqual(bench.changes.at(-1)!.endpoints, [endpoints("a")]);
  assert.equal(configuration.missing(), null);
  await configuration.close();
});

Deno.test("the last good configuration serves the next run, complete and with its versions", async () => {
  const bench = new Bench();
  const first = bench.open();
  await first.update(whole);
  await first.close();
  bench.changes.length = 0;
  const second = bench.open();
  await second.restore();
  assert.equal(second.missing(), null);
  assert.deepEqual(bench.told, ["+cluster a +endpoints a +route r +listener l"]);
  assert.deepEqual(second.versions(clusterType), { a: "1" });
  await second.close();
});

Deno.test("a damaged file, or another node's, is ignored", async () => {
  const bench = new Bench();
  const first = bench.open();
  await first.update(whole);
  await first.close();
  bench.changes.length = 0;
  const other = bench.open("node-2");
  await other.restore();
  bench.saved = bench.saved!.slice(0, -20);
  const damaged = bench.open();
  await damaged.restore();
  assert.deepEqual(bench.told, []);
  assert.equal(damaged.missing(), "no clusters yet");
  assert.throws(() => ResourceCache.parse("{}", "node-1"), ResourceCacheError);
});

Deno.test("listeners that could not be opened are tried again, and then it is ready", async () => {
  const bench = new Bench();
  const configuration = bench.open();
  bench.failure = new Error("cannot listen on 127.0.0.1:80: address in use");
  const verdicts = await configuration.update([
    update(clusterType, {}),
    update(routeType, {}),
    update(listenerType, { l: { name: "l", filterChains: [] } }),
  ]);
  assert.match(verdicts[2]!, /address in use/);
  assert.match(configuration.missing()!, /address in use/);
  bench.failure = null;
  for (let i = 0; i < 100 && configuration.missing() !== null; i++) await new Promise((go) => setTimeout(go, 50));
  assert.equal(configuration.missing(), null);
  assert.deepEqual(bench.changes.at(-1)!.listeners.map(({ name }) => name), ["l"]);
  await configuration.close();
});
