import assert from "node:assert/strict";
import type { JsonObject } from "@bufbuild/protobuf";
import { ClusterSchema } from "../../routing/xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { translateCluster } from "../../agent/config/translate/cluster.ts";
import { message } from "../../agent/config/translate/testdata/envoy_json.ts";
import { Backend, endpoint, endpoints, freePort, listener, route, routes, TestProxy } from "./harness.ts";

const times = {
  timeout: "1s",
  interval: "0.02s",
  noTrafficInterval: "0.02s",
  healthyThreshold: 1,
  unhealthyThreshold: 2,
};

/** A server that answers checks at `/healthz` with `health`, and everything else with its name. */
class Checked extends Backend {
  readonly checks: { method: string; host: string | null }[] = [];
  health = 200;

  constructor(name: string) {
    super((request) => {
      if (new URL(request.url).pathname !== "/healthz") return new Response(name);
      this.checks.push({ method: request.method, host: request.headers.get("host") });
      return new Response(null, { status: this.health });
    });
  }
}

/** Two data threads with a cluster of these ports, checked like this. */
async function start(ports: number[], healthCheck: JsonObject): Promise<{ proxy: TestProxy; url: string }> {
  const port = freePort();
  const { cluster } = translateCluster(
    message(ClusterSchema, {
      name: "backend",
      commonLbConfig: { healthyPanicThreshold: { value: 0 } },
      healthChecks: [{ ...times, ...healthCheck }],
    }),
  );
  const proxy = await TestProxy.start({
    clusters: [{ ...cluster, slot: 0 }],
    endpoints: [endpoints("backend", ports.map((one) => endpoint(one)), 0)],
    routes: [routes([route()])],
    listeners: [listener(port)],
  }, 2);
  return { proxy, url: `http://127.0.0.1:${port}/` };
}

async function answers(url: string): Promise<string> {
  const found = new Set<string>();
  for (let i = 0; i < 10; i++) {
    const response = await fetch(url);
    const text = await response.text();
    found.add(response.status === 200 ? text : String(response.status));
  }
  return [...found].sort().join(" ");
}

async function until(url: string, wanted: string): Promise<void> {
  while (await answers(url) !== wanted) await new Promise((resolve) => setTimeout(resolve, 20));
}

Deno.test("hosts get requests while they pass their HTTP check", async () => {
  await using a = new Checked("a");
  await using b = new Checked("b");
  const { proxy, url } = await start([a.port, b.port], {
    httpHealthCheck: { path: "/healthz", host: "health.example" },
  });
  await using _ = proxy;
  await until(url, "a b");
  assert.deepEqual(a.checks[0], { method: "GET", host: "health.example" });
  b.health = 503;
  await until(url, "a");
  a.health = 404;
  await until(url, "503");
  b.health = 200;
  await until(url, "b");
});

Deno.test("what counts as healthy is for the check to say", async () => {
  await using a = new Checked("a");
  await using b = new Checked("b");
  a.health = 204;
  const { proxy, url } = await start([a.port, b.port], {
    httpHealthCheck: { path: "/healthz", method: "HEAD", expectedStatuses: [{ start: "202", end: "205" }] },
  });
  await using _ = proxy;
  await until(url, "a");
  while (b.checks.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(await answers(url), "a");
  assert.equal(a.checks[0].method, "HEAD");
});

Deno.test("only one data thread checks", async () => {
  await using a = new Checked("a");
  const { proxy, url } = await start([a.port], {
    interval: "60s",
    noTrafficInterval: "60s",
    httpHealthCheck: { path: "/healthz" },
  });
  await using _ = proxy;
  await until(url, "a");
  assert.equal(a.checks.length, 1);
});

Deno.test("a TCP check wants a connection", async () => {
  await using a = new Checked("a");
  const free = freePort();
  const { proxy, url } = await start([a.port, free], { tcpHealthCheck: {} });
  await using _ = proxy;
  await until(url, "a");
  assert.equal(a.checks.length, 0);
  const late = Deno.serve({ hostname: "127.0.0.1", port: free, onListen: () => {} }, () => new Response("late"));
  await until(url, "a late");
  await late.shutdown();
  await until(url, "a");
});

Deno.test("a check that is not answered in time has failed", async () => {
  const released = Promise.withResolvers<void>();
  let hang = false;
  await using stuck = new Backend(async (request) => {
    if (hang && request.url.endsWith("/healthz")) await released.promise;
    return new Response("stuck");
  });
  await using well = new Checked("well");
  const { proxy, url } = await start([stuck.port, well.port], {
    timeout: "0.3s",
    unhealthyThreshold: 1,
    httpHealthCheck: { path: "/healthz" },
  });
  await using _ = proxy;
  await until(url, "stuck well");
  hang = true;
  await until(url, "well");
  released.resolve();
});
