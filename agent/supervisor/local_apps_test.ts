import assert from "node:assert/strict";
import type { ClusterConfig } from "../config/model.ts";
import { HostSlot } from "../config/shared_memory.ts";
import { logLevel, setLogLevel } from "../../log/log.ts";
import { adminApp } from "./admin_app.ts";
import { AgentStartError } from "./agent_start_error.ts";
import type { AgentView } from "./agent_view.ts";
import { DataThreads } from "./data_threads.ts";
import { healthApp } from "./health_app.ts";
import { serveLocally } from "./local_server.ts";
import { metricsApp } from "./metrics_app.ts";

const name = "outbound|9080||reviews.default.svc.cluster.local";
const none = { workload: "", namespace: "", app: "", version: "", canonicalService: "", canonicalRevision: "" };

/** Data threads with one cluster of two endpoints and a secret. */
async function threadsWithCluster(): Promise<DataThreads> {
  const threads = await DataThreads.start({ count: 1, module: new URL("./testdata/echo_thread.ts", import.meta.url) });
  await threads.apply({
    kind: "secret",
    proxy: "reviews",
    secret: { name: "default", certificateChain: "CHAIN", privateKey: "PRIVATE", trustBundle: "" },
  });
  const breakers = { maxConnections: 1024, maxPendingRequests: 1, maxRequests: 1, maxRetries: 1 };
  const endpoint = { port: 15006, weight: 3, healthy: true, transportSocketMatch: {}, slot: 0 };
  const workload = { ...none, cluster: "" };
  await threads.apply({
    kind: "resources",
    proxy: "reviews",
    clusters: [{ name, circuitBreakers: breakers } as ClusterConfig],
    removedClusters: [],
    endpoints: [{
      cluster: name,
      panicThreshold: 50,
      localities: [{
        priority: 0,
        locality: "",
        weight: 1,
        endpoints: [
          { ...endpoint, address: "127.0.1.1", workload },
          { ...endpoint, address: "127.0.2.1", workload, healthy: false },
        ],
      }],
    }],
    routes: [],
    removedRoutes: [],
    listeners: [],
    removedListeners: [],
  });
  return threads;
}

function view(threads: DataThreads | null, unready: string | null = null): AgentView {
  return {
    name: () => "vm-1",
    threads: () => threads,
    workloads: () => [],
    certificates: () => [{
      identity: "default/reviews",
      spiffeId: "spiffe://cluster.local/ns/default/sa/reviews",
      serialNumber: "0a",
      notBefore: new Date(0),
      notAfter: new Date(Date.now() + 3_600_000),
    }],
    unready: () => unready,
    drain: () => {},
  };
}

const here = { remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 4000 } } as const;

Deno.test("admin tells clusters, certificates and listeners, and never a key", async () => {
  const threads = await threadsWithCluster();
  try {
    const admin = adminApp(view(threads), "127.0.0.1");
    const get = async (path: string) => await (await admin.request(`http://127.0.0.1:15000${path}`, {}, here)).text();
    const [first] = threads.slots.hosts();
    Atomics.store(threads.slots.counters, first.slot + HostSlot.ejected, 1);
    Atomics.store(threads.slots.counters, first.slot + HostSlot.ejectedUntil, 1_000_000);
    Atomics.store(threads.slots.counters, first.slot + HostSlot.requests, 7);
    const clusters = await get("/clusters");
    assert.ok(clusters.includes(`${name}::127.0.1.1:15006::health_flags::/failed_outlier_check\n`), clusters);
    assert.ok(clusters.includes(`${name}::127.0.1.1:15006::rq_total::7\n`));
    assert.ok(clusters.includes(`${name}::127.0.2.1:15006::health_flags::/failed_eds_health\n`));
    assert.ok(clusters.includes(`${name}::default_priority::max_connections::1024\n`));
    assert.match(await get("/stats"), /^workload\.reviews\.cluster\.outbound.*\.upstream_rq_total: 0$/m);
    assert.match(await get("/certs"), /spiffe:\/\/cluster\.local\/ns\/default\/sa\/reviews/);
    for (const path of ["/", "/certs", "/clusters", "/config_dump", "/listeners", "/logging", "/stats"]) {
      assert.doesNotMatch(await get(path), /PRIVATE/, path);
    }
  } finally {
    await threads.stop();
  }
});

Deno.test("admin answers neither other machines nor web pages", async () => {
  const admin = adminApp(view(null), "192.0.2.7");
  const ask = async (url: string, headers: Record<string, string>, hostname: string) =>
    (await admin.request(url, { headers }, { remoteAddr: { ...here.remoteAddr, hostname } })).status;
  assert.equal(await ask("http://192.0.2.7:15000/certs", {}, "127.0.0.1"), 200);
  assert.equal(await ask("http://192.0.2.7:15000/certs", {}, "192.0.2.7"), 200);
  assert.equal(await ask("http://192.0.2.7:15000/certs", {}, "192.0.2.8"), 403);
  // The Host header is the caller's to choose.
  assert.equal(await ask("http://192.0.2.8:15000/certs", {}, "192.0.2.8"), 403);
  assert.equal(await ask("http://127.0.0.1:15000/certs", { origin: "http://evil.example" }, "127.0.0.1"), 403);
  assert.equal(await ask("http://evil.example:15000/certs", {}, "127.0.0.1"), 403);
});

Deno.test("the log level is changed by POST, and only to one that exists", async () => {
  const admin = adminApp(view(null), "127.0.0.1");
  const before = logLevel();
  try {
    const post = async (level: string) =>
      (await admin.request(`http://127.0.0.1/logging?level=${level}`, { method: "POST" }, here)).status;
    assert.equal(await post("error"), 200);
    assert.equal(logLevel(), "error");
    assert.equal(await post("loud"), 400);
    assert.equal(logLevel(), "error");
  } finally {
    setLogLevel(before);
  }
});

Deno.test("readiness is 200 or 503 with the reason", async () => {
  const ready = await healthApp(() => null).request("/healthz/ready");
  assert.equal(ready.status, 200);
  const unready = await healthApp(() => "workload reviews: no clusters yet").request("/healthz/ready");
  assert.deepEqual([unready.status, await unready.text()], [503, "not ready: workload reviews: no clusters yet\n"]);
});

Deno.test("metrics carry the threads' series, the certificates' end and the process", async () => {
  const threads = await threadsWithCluster();
  try {
    const response = await metricsApp(view(threads)).request("/stats/prometheus");
    assert.match(response.headers.get("content-type") ?? "", /version=0\.0\.4/);
    const text = await response.text();
    assert.match(text, /^istio_requests_total\{reporter="source"\} 2$/m);
    assert.match(text, /^istio_agent_cert_expiry_seconds\{identity="default\/reviews"\} 3[56]\d\d/m);
    assert.match(text, /^process_resident_memory_bytes \d+$/m);
  } finally {
    await threads.stop();
  }
});

Deno.test("a taken port is an error with a remedy", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  assert.throws(
    () => serveLocally("health", "127.0.0.1", listener.addr.port, healthApp(() => null)),
    (error) => error instanceof AgentStartError && /agent\.yaml/.test(error.hint),
  );
  listener.close();
  const server = serveLocally("health", "127.0.0.1", 0, healthApp(() => null));
  const response = await fetch(`http://127.0.0.1:${server.address.port}/healthz/ready`);
  assert.equal(await response.text(), "ready\n");
  await server.stop();
});
