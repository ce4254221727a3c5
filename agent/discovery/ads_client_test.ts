import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import * as grpc from "@grpc/grpc-js";
import type { DeltaDiscoveryRequest } from "../../routing/xds/gen/envoy/service/discovery/v3/discovery_pb.ts";
import { AdsClient, type Configuration, type ResourceUpdate } from "./ads_client.ts";
import { BackOff } from "./back_off.ts";
import { makeTestAuthority, type TestAuthority } from "./testdata/test_authority.ts";
import { startTestControlPlane, type TestStream } from "./testdata/test_control_plane.ts";
import { clusterType, endpointType, healthType, listenerType, type ResourceType } from "./type_urls.ts";

const spiffe = "spiffe://cluster.local/ns/default/sa/reviews";
const authority = await makeTestAuthority();
const identity = await authority.issue({ type: "url", value: spiffe });
const serverIdentity = await authority.issue({ type: "ip", value: "127.0.0.1" });

/** Holds what it is told, refuses resources named `bad`, and wants endpoints for each cluster. */
class Held implements Configuration {
  readonly resources = new Map<ResourceType, Map<string, string>>();
  readonly batches: ResourceUpdate[][] = [];

  update(updates: ResourceUpdate[]): Promise<(string | null)[]> {
    this.batches.push(updates);
    return Promise.resolve(updates.map((update) => {
      if (update.resources.some((resource) => resource.name === "bad")) return "resource bad: field.path: unsupported";
      const held = this.resources.get(update.type) ?? new Map();
      this.resources.set(update.type, held);
      for (const { name, version } of update.resources) held.set(name, version);
      for (const name of update.removed) held.delete(name);
      return null;
    }));
  }

  wanted(type: ResourceType): ReadonlySet<string> {
    if (type === clusterType || type === listenerType) return new Set(["*"]);
    return type === endpointType ? new Set(this.resources.get(clusterType)?.keys()) : new Set();
  }

  versions(type: ResourceType): Record<string, string> {
    return Object.fromEntries(this.resources.get(type) ?? []);
  }
}

async function until(what: () => boolean): Promise<void> {
  while (!what()) await delay(5);
}

/** A client and a server whose requests the test sees one by one. */
class Scene {
  readonly held = new Held();
  readonly requests: DeltaDiscoveryRequest[] = [];
  readonly streams: TestStream[] = [];
  current = identity;
  port = 0;
  readonly client = new AdsClient({
    workload: "reviews",
    addresses: () => [`127.0.0.1:${this.port}`],
    identity: () => this.current,
    node: () => ({ id: "sidecar~127.0.0.1~reviews.vm-1~default.svc.cluster.local" }),
    configuration: this.held,
    liveness: { interval: 50, timeout: 2000 },
    backOff: new BackOff(20, 100),
  });
  server!: Awaited<ReturnType<typeof startTestControlPlane>>;

  static async open(): Promise<Scene> {
    const scene = new Scene();
    await scene.serve();
    scene.client.start();
    return scene;
  }

  async serve(): Promise<void> {
    this.server = await startTestControlPlane(serverIdentity, {
      request: (stream, request) => {
        if (request.node !== undefined) this.streams.push(stream);
        this.requests.push(request);
      },
    }, this.port);
    this.port = this.server.port;
  }

  get stream(): TestStream {
    return this.streams.at(-1)!;
  }

  async request(which: (request: DeltaDiscoveryRequest) => boolean): Promise<DeltaDiscoveryRequest> {
    await until(() => this.requests.some(which));
    return this.requests.splice(this.requests.findIndex(which), 1)[0];
  }

  async close(): Promise<void> {
    await this.client.stop();
    this.server.kill();
  }
}

async function scene(run: (scene: Scene) => Promise<void>): Promise<void> {
  const opened = await Scene.open();
  try {
    await run(opened);
  } finally {
    await opened.close();
  }
}

const acknowledges = (nonce: string) => (request: DeltaDiscoveryRequest) => request.responseNonce === nonce;
const asksFor = (type: string) => (request: DeltaDiscoveryRequest) =>
  request.typeUrl === type && request.responseNonce === "";

function clusters(nonce: string, ...names: string[]) {
  return { typeUrl: clusterType, nonce, resources: names.map((name) => ({ name, version: `v-${nonce}` })) };
}

Deno.test("a stream asks for clusters first, acknowledges, and follows the names it finds", () =>
  scene(async (it) => {
    const first = await it.request(asksFor(clusterType));
    assert.equal(first.node?.id, "sidecar~127.0.0.1~reviews.vm-1~default.svc.cluster.local");
    assert.deepEqual(first.resourceNamesSubscribe, ["*"]);
    assert.equal((await it.request(asksFor(listenerType))).node, undefined);
    it.stream.send(clusters("1", "a", "b"));
    assert.equal((await it.request(acknowledges("1"))).errorDetail, undefined);
    assert.deepEqual((await it.request(asksFor(endpointType))).resourceNamesSubscribe, ["a", "b"]);
    it.stream.send({ ...clusters("2", "c"), removedResources: ["a"] });
    const change = await it.request(asksFor(endpointType));
    assert.deepEqual([change.resourceNamesSubscribe, change.resourceNamesUnsubscribe], [["c"], ["a"]]);
    assert.equal(it.client.connected, true);
  }));

Deno.test("a refused response is answered with the reason and leaves versions alone", () =>
  scene(async (it) => {
    await it.request(asksFor(clusterType));
    it.stream.send(clusters("1", "a"));
    it.stream.send(clusters("2", "bad"));
    const refusal = await it.request(acknowledges("2"));
    assert.match(refusal.errorDetail?.message ?? "", /field\.path/);
    it.stream.send({ typeUrl: "type.googleapis.com/unknown", nonce: "3" });
    assert.match((await it.request(acknowledges("3"))).errorDetail?.message ?? "", /was not asked for/);
    assert.deepEqual(it.held.versions(clusterType), { a: "v-1" });
  }));

Deno.test("after the control plane was killed and started again, the client says what it has", () =>
  scene(async (it) => {
    await it.request(asksFor(clusterType));
    it.stream.send(clusters("1", "a"));
    await it.request(acknowledges("1"));
    it.server.kill();
    await until(() => !it.client.connected);
    await delay(100);
    it.requests.length = 0;
    await it.serve();
    const again = await it.request((request) => request.node !== undefined);
    assert.deepEqual(again.initialResourceVersions, { a: "v-1" });
    assert.deepEqual((await it.request(asksFor(endpointType))).resourceNamesSubscribe, ["a"]);
    it.stream.send(clusters("2", "b"));
    await it.request(acknowledges("2"));
  }));

Deno.test("a GOAWAY on an idle stream ends in a new one", () =>
  scene(async (it) => {
    await it.request(asksFor(clusterType));
    it.stream.send(clusters("1", "a"));
    await it.request(acknowledges("1"));
    await delay(200);
    it.server.goAway(50);
    it.server.kill();
    await until(() => !it.client.connected);
    await it.serve();
    await until(() => it.streams.length > 1);
  }));

Deno.test("a stream that ends in a gRPC status is opened anew", () =>
  scene(async (it) => {
    await it.request(asksFor(clusterType));
    it.stream.fail(grpc.status.UNAVAILABLE, "too busy");
    await until(() => it.streams.length > 1);
    it.stream.end();
    await until(() => it.streams.length > 2);
  }));

Deno.test("the newest certificate is shown on a new stream", () =>
  scene(async (it) => {
    await it.request(asksFor(clusterType));
    const before = it.stream.peer;
    it.current = await authority.issue({ type: "url", value: spiffe });
    it.client.restart();
    await until(() => it.streams.length > 1);
    assert.notDeepEqual(it.stream.peer, before);
  }));

Deno.test("health is told at once and again on every new stream", () =>
  scene(async (it) => {
    await it.request(asksFor(clusterType));
    it.client.reportHealth(false, "GET /health: 503");
    assert.match((await it.request(asksFor(healthType))).errorDetail?.message ?? "", /503/);
    it.client.restart();
    assert.match((await it.request(asksFor(healthType))).errorDetail?.message ?? "", /503/);
    it.client.reportHealth(true, "");
    assert.equal((await it.request(asksFor(healthType))).errorDetail, undefined);
  }));

Deno.test("a control plane that no longer answers is noticed", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const connection of listener) accepted.push(connection);
  })();
  const client = new AdsClient({
    workload: "reviews",
    addresses: () => [`127.0.0.1:${listener.addr.port}`],
    identity: () => identity,
    node: () => ({ id: "n" }),
    configuration: new Held(),
    liveness: { interval: 50, timeout: 100 },
    backOff: new BackOff(10, 20),
  });
  client.start();
  await until(() => accepted.length > 2);
  await client.stop();
  listener.close();
  await accepting;
  for (const connection of accepted) connection.close();
});

Deno.test("a control plane with a foreign certificate is not spoken to", async () => {
  const foreign: TestAuthority = await makeTestAuthority();
  let requests = 0;
  const server = await startTestControlPlane(await foreign.issue({ type: "ip", value: "127.0.0.1" }), {
    request: () => requests++,
  });
  let tries = 0;
  const client = new AdsClient({
    workload: "reviews",
    addresses: () => {
      tries++;
      return [`127.0.0.1:${server.port}`];
    },
    identity: () => identity,
    node: () => ({ id: "n" }),
    configuration: new Held(),
    backOff: new BackOff(5, 10),
  });
  client.start();
  await until(() => tries > 3);
  await client.stop();
  server.kill();
  assert.equal(requests, 0);
});
