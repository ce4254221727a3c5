import { deepEqual, equal, match, notEqual, ok, rejects } from "node:assert/strict";
import type { Cluster } from "../routing/xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { HealthStatus } from "../routing/xds/gen/envoy/config/core/v3/health_check_pb.ts";
import type { ClusterLoadAssignment } from "../routing/xds/gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import type { RouteConfiguration } from "../routing/xds/gen/envoy/config/route/v3/route_pb.ts";
import type { WorkloadNode } from "../routing/xds/node.ts";
import type { ControlPlane } from "./control_plane.ts";
import { healthTypeUrl } from "./push/resource_types.ts";
import type { ProxyStatus } from "./push/proxies.ts";
import { Status } from "./grpc/status.ts";
import { type AdsClientOptions, AdsTestClient } from "./testing/ads_client.ts";
import { TestMesh, until } from "./testing/test_mesh.ts";
import { testNode } from "./testing/test_node.ts";

const reviews = "outbound|9080||reviews.default.svc.cluster.local";
const ratings = "outbound|9080||ratings.default.svc.cluster.local";
const ratingsNode = testNode({
  workload: "ratings-v1",
  service: "ratings",
  serviceAccount: "bookinfo-ratings",
  labels: { app: "ratings" },
  address: "127.0.2.1",
});

function timeoutRule(timeout: string): string {
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  http: [{ timeout: ${timeout}, route: [{ destination: { host: reviews } }] }]
`;
}

/** Runs a test with a mesh, and closes the clients that it opened. */
function check(sentence: string, run: (mesh: TestMesh, open: typeof openClient) => Promise<void>): void {
  const opened: AdsTestClient[] = [];
  const openClient_: typeof openClient = async (...args) => {
    const client = await openClient(...args);
    opened.push(client);
    return client;
  };
  Deno.test(sentence, () =>
    TestMesh.with(async (mesh) => {
      try {
        await run(mesh, openClient_);
      } finally {
        opened.forEach((client) => client.close());
      }
    }));
}

async function openClient(
  mesh: TestMesh,
  controlPlane: ControlPlane,
  node: WorkloadNode = testNode(),
  options: Partial<AdsClientOptions> = {},
): Promise<AdsTestClient> {
  const identity = await mesh.identity(`${node.namespace}/${node.serviceAccount}`);
  return new AdsTestClient({ port: controlPlane.xdsAddress.port, identity, node, ...options });
}

const get = async (controlPlane: ControlPlane, path: string) =>
  await (await fetch(`http://127.0.0.1:${controlPlane.httpAddress.port}${path}`)).json();
const proxies = (controlPlane: ControlPlane): Promise<ProxyStatus[]> => get(controlPlane, "/api/v1/proxies");

function hostOf(client: AdsTestClient, service: string) {
  const routes = client.message<RouteConfiguration>("RDS", "http_proxy");
  return routes?.virtualHosts.find(({ domains }) => domains.includes(`${service}.default.svc.cluster.local`));
}

/** Seconds of the timeout that the routes of `reviews` have. */
function routeTimeout(client: AdsTestClient): number | undefined {
  const action = hostOf(client, "reviews")?.routes[0].action;
  return action?.case === "route" ? Number(action.value.timeout?.seconds) : undefined;
}

function endpointsOf(client: AdsTestClient, cluster: string): string[] {
  const assignment = client.message<ClusterLoadAssignment>("EDS", cluster);
  return (assignment?.endpoints ?? []).flatMap(({ lbEndpoints }) => lbEndpoints).map(({ hostIdentifier }) => {
    const address = hostIdentifier.case === "endpoint" ? hostIdentifier.value.address?.address : undefined;
    return address?.case === "socketAddress" ? address.value.address : "?";
  });
}

check(
  "a subscribed proxy gets its configuration, in the order in which one part needs the other",
  async (mesh, open) => {
    await mesh.write("rules.yaml", timeoutRule("3s"));
    const controlPlane = await mesh.start();
    const client = await open(mesh, controlPlane);
    client.subscribeAll([reviews]);
    await until(
      () => ["CDS", "EDS", "LDS", "RDS"].every((type) => client.held.has(type as "CDS")),
      "all types are there",
    );
    equal(client.message<Cluster>("CDS", reviews)?.name, reviews);
    deepEqual(endpointsOf(client, reviews), ["127.0.1.1"]);
    equal(routeTimeout(client), 3);
    await until(async () => (await proxies(controlPlane))[0].types.RDS.status === "SYNCED", "the proxy is in sync");
    const [proxy] = await proxies(controlPlane);
    equal(proxy.identity, "spiffe://cluster.local/ns/default/sa/bookinfo-reviews");
    equal(proxy.connected, true);
    const { SDS, ...types } = proxy.types;
    deepEqual(Object.values(types).map(({ status }) => status), ["SYNCED", "SYNCED", "SYNCED", "SYNCED"]);
    equal(SDS.status, "NOT SENT", "agents keep their secrets to themselves");
    equal(proxy.types.CDS.acknowledged, proxy.types.CDS.sent);
  },
);

check("a file edited on disk reaches a subscribed proxy, and only what it changed is sent", async (mesh, open) => {
  await mesh.write("rules.yaml", timeoutRule("3s"));
  const controlPlane = await mesh.start();
  const client = await open(mesh, controlPlane);
  client.subscribeAll([reviews]);
  await until(() => routeTimeout(client) === 3, "the first rule is there");
  const before = client.responses.length;
  await mesh.write("rules.yaml", timeoutRule("7s"));
  await until(() => routeTimeout(client) === 7, "the edited rule is there");
  deepEqual(client.responses.slice(before).map(({ type }) => type), ["RDS"]);
});

check("a refused response is shown with its reason, and stops pushes to nobody", async (mesh, open) => {
  await mesh.write("rules.yaml", timeoutRule("3s"));
  const controlPlane = await mesh.start();
  const refusing = await open(mesh, controlPlane, testNode(), {
    judge: (type) => type === "RDS" && refused ? "virtual_hosts[0]: not implemented" : null,
  });
  let refused = false;
  const other = await open(mesh, controlPlane, ratingsNode);
  refusing.subscribeAll();
  other.subscribeAll();
  // The second one's registration is a change of routes for the first.
  const complete = (client: AdsTestClient) => routeTimeout(client) === 3 && hostOf(client, "ratings") !== undefined;
  await until(() => complete(refusing) && complete(other), "both have the rule and each other");
  refused = true;
  await mesh.write("rules.yaml", timeoutRule("4s"));
  await until(() => routeTimeout(other) === 4, "the other one has the edited rule");
  const rds = async () => (await proxies(controlPlane)).find(({ workload }) => workload === "reviews-v1")!.types.RDS;
  await until(async () => (await rds()).status === "NACK", "the refusal is shown");
  equal((await rds()).reason, "virtual_hosts[0]: not implemented");
  ok((await rds()).staleSince);
  equal(routeTimeout(refusing), 3);
  const responses = refusing.responsesOf("RDS").length;
  refused = false;
  await mesh.write("rules.yaml", timeoutRule("5s"));
  await until(() => routeTimeout(refusing) === 5, "the next change is taken");
  await until(async () => (await rds()).status === "SYNCED", "the proxy is in sync again");
  equal(refusing.responsesOf("RDS").length, responses + 1);
  const metrics = await (await fetch(`http://127.0.0.1:${controlPlane.httpAddress.port}/metrics`)).text();
  match(metrics, /^pilot_total_xds_rejects\{type="rds"\} 1$/m);
  match(metrics, /^pilot_xds 2$/m);
});

check("a proxy that comes back is sent what differs from what it has", async (mesh, open) => {
  await mesh.write("rules.yaml", timeoutRule("3s"));
  const controlPlane = await mesh.start();
  const first = await open(mesh, controlPlane);
  first.subscribeAll([reviews]);
  await until(() => routeTimeout(first) === 3 && first.held.has("EDS"), "the first stream has all");
  const versions = {
    CDS: { ...first.versions("CDS"), "outbound|1||gone.default.svc.cluster.local": "1" },
    EDS: first.versions("EDS"),
    LDS: first.versions("LDS"),
    RDS: first.versions("RDS"),
  };
  first.close();
  const second = await open(mesh, controlPlane);
  second.subscribeAll([reviews], versions);
  await until(() => second.responses.length >= 4, "every type is answered");
  deepEqual(second.responses.flatMap(({ response }) => response.resources), []);
  await until(
    () => second.responses.some(({ response }) => response.removedResources.length > 0),
    "what is gone is told",
  );
  deepEqual(second.responses.flatMap(({ response }) => response.removedResources), [
    "outbound|1||gone.default.svc.cluster.local",
  ]);
});

check("a node of another identity than its certificate's is refused", async (mesh, open) => {
  const controlPlane = await mesh.start();
  const impostor = await open(mesh, controlPlane, testNode(), { identity: await mesh.identity("default/other") });
  impostor.subscribeAll();
  await until(() => impostor.status !== null, "the stream has ended");
  equal(impostor.status?.code, Status.permissionDenied);
  match(impostor.status!.details, /node is of default\/bookinfo-reviews and its certificate of default\/other/);
  deepEqual(await proxies(controlPlane), []);
});

check("a client without a certificate of this mesh gets no stream", async (mesh) => {
  const controlPlane = await mesh.start();
  const foreign = await new Promise<Awaited<ReturnType<TestMesh["identity"]>>>((resolve, reject) =>
    TestMesh.with(async (other) => {
      await other.start();
      resolve(await other.identity());
    }).catch(reject)
  );
  const { trustBundle } = await mesh.identity();
  const client = new AdsTestClient({
    port: controlPlane.xdsAddress.port,
    identity: { ...foreign, trustBundle },
    node: testNode(),
  });
  client.subscribeAll();
  await until(() => client.status !== null, "the stream has ended");
  notEqual(client.status?.code, Status.ok);
  equal(client.responses.length, 0);
  deepEqual(await proxies(controlPlane), []);
  client.close();
});

check("a malformed first request ends the stream with the field that is wrong", async (mesh, open) => {
  const controlPlane = await mesh.start();
  const client = await open(mesh, controlPlane, testNode({ address: "not an address" }));
  client.subscribeAll();
  await until(() => client.status !== null, "the stream has ended");
  equal(client.status?.code, Status.invalidArgument);
  match(client.status!.details, /"not an address" is no IP address/);
});

check("a stream ends with its certificate", async (mesh, open) => {
  const controlPlane = await mesh.start();
  const identity = await mesh.identity("default/bookinfo-reviews", 4000);
  const client = await open(mesh, controlPlane, testNode(), { identity });
  client.subscribeAll();
  await until(() => client.status !== null, "the stream has ended");
  equal(client.status?.code, Status.unauthenticated);
  ok(client.responses.length > 0);
});

check("a workload that is gone leaves after the grace period, and its health is told meanwhile", async (mesh, open) => {
  const controlPlane = await mesh.start({ gracePeriod: 300 });
  const watching = await open(mesh, controlPlane);
  const leaving = await open(mesh, controlPlane, ratingsNode);
  leaving.subscribeAll();
  watching.subscribeAll([ratings]);
  await until(() => endpointsOf(watching, ratings).join() === "127.0.2.1", "the endpoint is there");
  leaving.send({ typeUrl: healthTypeUrl, errorDetail: { code: 14, message: "probe failed" } });
  const health = () =>
    watching.message<ClusterLoadAssignment>("EDS", ratings)?.endpoints[0]?.lbEndpoints[0]?.healthStatus;
  await until(() => health() === HealthStatus.UNHEALTHY, "the endpoint is unhealthy");
  leaving.send({ typeUrl: healthTypeUrl });
  await until(() => health() === HealthStatus.HEALTHY, "the endpoint is healthy");
  leaving.close();
  // The service was made by the registration alone, so it goes with it.
  await until(() => !watching.names("CDS").includes(ratings), "the cluster is gone");
  const gone = (await proxies(controlPlane)).find(({ workload }) => workload === "ratings-v1")!;
  equal(gone.connected, false);
});

check("a workload that reconnects within the grace period changes nothing for others", async (mesh, open) => {
  const controlPlane = await mesh.start({ gracePeriod: 30_000 });
  const watching = await open(mesh, controlPlane);
  watching.subscribeAll([ratings]);
  for (let round = 0; round < 3; round++) {
    const client = await open(mesh, controlPlane, ratingsNode);
    client.subscribeAll();
    await until(() => client.held.has("RDS"), "the stream is served");
    client.close();
  }
  await until(() => endpointsOf(watching, ratings).length === 1, "the endpoint is there");
  const again = await open(mesh, controlPlane, ratingsNode);
  again.subscribeAll();
  await until(() => again.held.has("RDS"), "the stream is served");
  equal(watching.responsesOf("EDS").length <= 2, true);
  deepEqual(endpointsOf(watching, ratings), ["127.0.2.1"]);
});

check("a client that does not answer is sent the newest state once it does", async (mesh, open) => {
  await mesh.write("rules.yaml", timeoutRule("1s"));
  const controlPlane = await mesh.start();
  const slow = await open(mesh, controlPlane, testNode(), { slow: true });
  const quick = await open(mesh, controlPlane, ratingsNode);
  slow.subscribeAll();
  quick.subscribeAll();
  await until(() => slow.responsesOf("RDS").length === 1, "the slow one has something to answer");
  for (const seconds of [2, 3, 4, 5]) {
    await mesh.write("rules.yaml", timeoutRule(`${seconds}s`));
    await until(() => routeTimeout(quick) === seconds, `the quick one has ${seconds} s`);
  }
  equal(slow.responsesOf("RDS").length, 1);
  const rds = (await proxies(controlPlane)).find(({ workload }) => workload === "reviews-v1")!.types.RDS;
  equal(rds.status, "STALE");
  slow.answer();
  await until(() => slow.responsesOf("RDS").length === 2, "the next response has come");
  slow.answer();
  equal(routeTimeout(slow), 5);
});

check("a restarted control plane knows the workloads of before while they come back", async (mesh, open) => {
  await mesh.write("rules.yaml", timeoutRule("3s"));
  const first = await mesh.start();
  const before = await open(mesh, first);
  const other = await open(mesh, first, ratingsNode);
  before.subscribeAll([reviews, ratings]);
  other.subscribeAll();
  await until(() => endpointsOf(before, ratings).length === 1 && routeTimeout(before) === 3, "all is there");
  const versions = { CDS: before.versions("CDS"), EDS: before.versions("EDS"), RDS: before.versions("RDS") };
  await mesh.stop(first);
  await until(() => before.status !== null && other.status !== null, "the streams have ended");
  equal(before.status?.code, Status.unavailable);
  await mesh.write("rules.yaml", "kind: [");
  const second = await mesh.start();
  const after = await open(mesh, second);
  after.subscribeAll([reviews, ratings], versions);
  await until(() => after.responses.length >= 4, "every type is answered");
  deepEqual(
    after.responses.filter(({ type }) => type !== "LDS").flatMap(({ response }) => response.resources),
    [],
  );
  equal((await get(second, "/api/v1/problems")).length, 1);
});

check("what was said wrong is told by the name of the flag", async (mesh) => {
  const controlPlane = await mesh.start();
  const taken = { host: "127.0.0.1", port: controlPlane.xdsAddress.port };
  const again = { dataDir: `${mesh.dataDir}-2` };
  await rejects(
    mesh.start({ ...again, xdsListen: taken }),
    /--xds-listen: cannot listen on 127\.0\.0\.1:\d+: it is in use/,
  );
  await rejects(
    mesh.start({ ...again, joinListen: taken }),
    /--join-listen: cannot listen on 127\.0\.0\.1:\d+: it is in use/,
  );
  await rejects(
    mesh.start({ ...again, httpListen: taken }),
    /--http-listen: cannot listen on 127\.0\.0\.1:\d+: it is in use/,
  );
  await rejects(mesh.start({ ...again, configDir: "/nowhere" }), /--config-dir: \/nowhere cannot be read/);
  await rejects(mesh.start({ ...again, meshConfigFile: "/nowhere" }), /--config: \/nowhere: /);
  await rejects(mesh.start({ dataDir: "/proc/nowhere" }), /--data-dir: \/proc\/nowhere cannot be written to/);
  await rejects(mesh.start({ ...again, store: "etcd://127.0.0.1:2379" }), /--store: .*only sqlite/);
});
