import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import type { SecretConfig } from "../config/model.ts";
import { ApplyError, DataThreads } from "./data_threads.ts";
import { DataThreadError } from "./supervised_thread.ts";

const module = new URL("./testdata/echo_thread.ts", import.meta.url);

function secret(name: string, certificateChain = ""): { kind: "secret"; proxy: string; secret: SecretConfig } {
  return { kind: "secret", proxy: "p", secret: { name, certificateChain, privateKey: "", trustBundle: "" } };
}

async function until(what: () => boolean): Promise<void> {
  while (!what()) await delay(10);
}

Deno.test("a change is applied by every thread, and large ones arrive whole", async () => {
  const threads = await DataThreads.start({ count: 2, module });
  try {
    await threads.apply(secret("default", "x".repeat(3_000_000)));
    await Promise.all([threads.apply(secret("a")), threads.apply(secret("b"))]);
    assert.deepEqual(threads.series(), [
      { metric: "istio_requests_total", labels: { reporter: "source" }, values: [6] },
    ]);
  } finally {
    await threads.stop();
  }
});

Deno.test("what threads complain of reaches the caller once", async () => {
  const threads = await DataThreads.start({ count: 2, module });
  try {
    await assert.rejects(
      threads.apply(secret("complain")),
      (error) => error instanceof ApplyError && error.errors.length === 1 && /thread says secret/.test(error.message),
    );
  } finally {
    await threads.stop();
  }
});

Deno.test("a crashed thread is replaced, told everything again, and its counts are kept", async () => {
  const threads = await DataThreads.start({ count: 1, module });
  try {
    await threads.apply(secret("default"));
    await threads.apply(secret("ROOTCA"));
    // The state keeps secrets by name: without this a successor would be told to crash as well.
    const crash = threads.apply(secret("crash"));
    threads.state.proxies.get("p")!.secrets.delete("crash");
    await crash;
    assert.equal(threads.crashes, 1);
    await threads.apply(secret("after"));
    // Three before the crash; after it two secrets and one batch of resources replayed, and the new one.
    assert.deepEqual(threads.series().map((series) => series.values), [[3 + 3 + 1]]);
  } finally {
    await threads.stop();
  }
});

Deno.test("draining ends with the threads' last request", async () => {
  const threads = await DataThreads.start({ count: 2, module });
  await threads.apply(secret("default"));
  await threads.drain(60_000);
});

Deno.test("a thread that cannot start is an error, not an endless restart", async () => {
  await assert.rejects(
    DataThreads.start({ count: 1, module: new URL("./testdata/missing.ts", import.meta.url) }),
    DataThreadError,
  );
});

Deno.test("ejections end in the sweep while threads run", async () => {
  const threads = await DataThreads.start({ count: 1, module });
  try {
    const none = { workload: "", namespace: "", app: "", version: "", canonicalService: "", canonicalRevision: "" };
    const endpoint = { address: "127.0.0.1", port: 1, weight: 1, healthy: true, transportSocketMatch: {}, slot: 0 };
    await threads.apply({
      kind: "resources",
      proxy: "p",
      clusters: [],
      removedClusters: [],
      endpoints: [{
        cluster: "c",
        panicThreshold: 50,
        localities: [{
          priority: 0,
          locality: "",
          weight: 1,
          endpoints: [{ ...endpoint, workload: { ...none, cluster: "" } }],
        }],
      }],
      routes: [],
      removedRoutes: [],
      listeners: [],
      removedListeners: [],
    });
    const [host] = threads.slots.hosts();
    Atomics.store(threads.slots.counters, host.slot + 4, 1);
    await until(() => Atomics.load(threads.slots.counters, host.slot + 4) === 0);
  } finally {
    await threads.stop();
  }
});
