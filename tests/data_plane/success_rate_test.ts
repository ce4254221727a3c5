import assert from "node:assert/strict";
import type { JsonObject } from "@bufbuild/protobuf";
import { ClusterSchema } from "../../routing/xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { translateCluster } from "../../agent/config/translate/cluster.ts";
import { message } from "../../agent/config/translate/testdata/envoy_json.ts";
import { NamedBackend } from "./compiled_service.ts";
import { endpoint, endpoints, freePort, listener, route, routes, TestProxy } from "./harness.ts";

/** Six servers behind a cluster with this outlier detection; one of them fails. */
async function withSix(
  outlierDetection: JsonObject,
  workers: number,
  run: (request: () => Promise<string>, failing: NamedBackend) => Promise<void>,
): Promise<void> {
  const backends = Array.from({ length: 6 }, (_, i) => new NamedBackend(`b${i}`));
  const { cluster } = translateCluster(message(ClusterSchema, {
    name: "backend",
    outlierDetection: {
      interval: "1s",
      baseEjectionTime: "1s",
      maxEjectionPercent: 50,
      enforcingConsecutive5xx: 0,
      ...outlierDetection,
    },
  }));
  const port = freePort();
  await using _proxy = await TestProxy.start({
    clusters: [{ ...cluster, slot: 0 }],
    endpoints: [endpoints("backend", backends.map((backend) => endpoint(backend.port)))],
    routes: [routes([route()])],
    listeners: [listener(port)],
  }, workers);
  const request = async () => {
    const response = await fetch(`http://127.0.0.1:${port}/`);
    return `${response.status} ${await response.text()}`;
  };
  try {
    await run(request, backends[2]);
  } finally {
    await Promise.all(backends.map((backend) => backend[Symbol.asyncDispose]()));
  }
}

/** Sends requests until one round in which every server has its turn leaves out, or takes in, the failing one. */
async function until(request: () => Promise<string>, reached: (answers: string[]) => boolean): Promise<void> {
  for (;;) {
    const answers: string[] = [];
    for (let i = 0; i < 60; i++) answers.push(await request());
    if (reached(answers)) return;
  }
}

const detectors: [string, JsonObject][] = [
  ["succeeds less often than the others", { successRateMinimumHosts: 5, successRateRequestVolume: 5 }],
  ["fails too often", {
    enforcingSuccessRate: 0,
    enforcingFailurePercentage: 100,
    failurePercentageThreshold: 90,
    failurePercentageRequestVolume: 5,
  }],
];
for (const [what, settings] of detectors) {
  Deno.test(`a host that ${what} is ejected, and comes back when it is well`, () =>
    withSix(settings, 2, async (request, failing) => {
      failing.answer.status = 500;
      await until(request, (answers) => answers.every((answer) => answer.startsWith("200")));
      failing.answer.status = 200;
      await until(request, (answers) => answers.includes(`200 ${failing.name}`));
    }));
}

Deno.test("a detector that is never enforced ejects nobody", () =>
  withSix({ enforcingSuccessRate: 0 }, 1, async (request, failing) => {
    failing.answer.status = 500;
    const end = Date.now() + 2500;
    let last: string[] = [];
    while (Date.now() < end) last = [...last.slice(-59), await request()];
    assert.ok(last.some((answer) => answer.startsWith("500")));
  }));
