/** What callers may ask for in headers: gRPC's deadline, and Envoy's timeouts and retries where the caller is internal. */
import assert from "node:assert/strict";
import type { JsonObject } from "@bufbuild/protobuf";
import { ClusterSlot } from "../../agent/config/shared_memory.ts";
import { managerSetup } from "./configured.ts";
import { TestProxy } from "./harness.ts";
import { exchangeUntilEnd, RawBackend, statusOf } from "./raw_sockets.ts";

const internal: JsonObject = {
  useRemoteAddress: true,
  internalAddressConfig: { cidrRanges: [{ addressPrefix: "127.0.0.0", prefixLen: 8 }] },
};
const grpcType = "content-type: application/grpc";

interface Asked {
  /** The answer's status. */
  status: number;
  answer: string;
  /** `grpc-status` of the answer, empty: none. */
  grpc: string;
  /** Of each attempt, the headers that tell of time and attempts. */
  told: string[];
  flags: Record<string, number>;
  retries: number;
}

/** Sends one request with these header lines to a host that answers with these status lines in turn, and then nothing. */
async function ask(
  route: JsonObject,
  headers: string[],
  { manager = internal, statuses = [] as (number | string)[] } = {},
): Promise<Asked> {
  const told: string[] = [];
  using backend = new RawBackend(async (connection) => {
    await connection.until(/\r\n\r\n/);
    told.push(
      connection.received.split("\r\n")
        .filter((line) => /timeout|x-envoy-(retr|max|upstream|att)|grpc-t/.test(line)).sort().join(", "),
    );
    const status = statuses.shift();
    if (status !== undefined) {
      await connection.send(`HTTP/1.1 ${status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\nup`);
    }
  });
  const { port, setup } = managerSetup(manager, [{ match: { prefix: "/" }, route: { cluster: "backend", ...route } }], {
    backend: [backend.port],
  });
  await using proxy = await TestProxy.start(setup);
  const lines = ["GET / HTTP/1.1", "host: a", "connection: close", ...headers];
  const answer = await exchangeUntilEnd(port, lines.join("\r\n") + "\r\n\r\n");
  return {
    status: statusOf(answer),
    answer,
    grpc: /grpc-status: (\d+)/.exec(answer)?.[1] ?? "",
    told,
    flags: proxy.recorded(),
    retries: proxy.clusterCounter(ClusterSlot.retries),
  };
}

Deno.test("an internal caller's timeout goes before the route's, and the upstream is told of it", async () => {
  const asked = await ask({ timeout: "60s" }, ["x-envoy-upstream-rq-timeout-ms: 100"]);
  assert.match(asked.answer, / 504 [^]*upstream request timeout$/);
  assert.deepEqual(asked.told, ["x-envoy-expected-rq-timeout-ms: 100"]);
  assert.deepEqual(asked.flags, { "504 UT": 1 });
});

Deno.test("an internal caller sets the time of an attempt and asks for retries", async () => {
  const asked = await ask({ timeout: "60s" }, [
    "x-envoy-retry-on: 5xx",
    "x-envoy-max-retries: 2",
    "x-envoy-upstream-rq-per-try-timeout-ms: 100",
    "x-envoy-expected-rq-timeout-ms: 7",
  ]);
  assert.match(asked.answer, / 504 [^]*upstream request timeout$/);
  assert.deepEqual(asked.told, new Array(3).fill("x-envoy-expected-rq-timeout-ms: 100"));
  assert.deepEqual(asked.flags, { "504 URX,UT": 1 });
});

Deno.test("without a policy an attempt's time holds as well, and the number of retries alone asks for none", async () => {
  const late = await ask({ timeout: "60s" }, ["x-envoy-upstream-rq-per-try-timeout-ms: 100"]);
  assert.deepEqual(late.flags, { "504 UT": 1 });
  const alone = await ask({ timeout: "60s" }, ["x-envoy-max-retries: 2"], { statuses: [503] });
  assert.deepEqual([alone.status, alone.retries, alone.flags], [503, 0, { "503 -": 1 }]);
});

Deno.test("an internal caller names statuses to retry, and each attempt is told what time is left", async () => {
  const asked = await ask({ timeout: "60s" }, [
    "x-envoy-retry-on: retriable-status-codes",
    "x-envoy-retriable-status-codes: 500, 418",
    "x-envoy-max-retries: 2",
  ], { statuses: [418, 500, 418] });
  assert.deepEqual([asked.status, asked.flags], [418, { "418 URX": 1 }]);
  const left = asked.told.map((line) => Number(/^x-envoy-expected-rq-timeout-ms: (\d+)$/.exec(line)?.[1]));
  assert.equal(left[0], 60_000);
  assert.ok(left[1] <= 60_000 && left[2] <= left[1] && left[2] > 50_000, left.join());
});

Deno.test("conditions of gRPC are an internal caller's to name too", async () => {
  const statuses = ["200 OK\r\ngrpc-status: 14", "200 OK\r\ngrpc-status: 13"];
  const asked = await ask({ timeout: "60s" }, [grpcType, "x-envoy-retry-grpc-on: unavailable"], { statuses });
  assert.deepEqual([asked.grpc, asked.retries], ["13", 1]);
});

Deno.test("nobody else's wishes count, and they go no further", async () => {
  const asked = await ask({ timeout: "60s" }, [
    "x-envoy-retry-on: 5xx",
    "x-envoy-upstream-rq-timeout-ms: 1",
    "x-envoy-upstream-rq-per-try-timeout-ms: 1",
    "x-envoy-expected-rq-timeout-ms: 1",
  ], { manager: { useRemoteAddress: true }, statuses: [503] });
  assert.deepEqual([asked.status, asked.retries], [503, 0]);
  assert.deepEqual(asked.told, ["x-envoy-expected-rq-timeout-ms: 60000"]);
});

Deno.test("what the proxy before this one expects is the timeout, where the router respects it", async () => {
  const asked = await ask({ timeout: "60s" }, ["x-envoy-expected-rq-timeout-ms: 100"], {
    manager: { ...internal, router: { respectExpectedRqTimeout: true } },
  });
  assert.deepEqual(asked.flags, { "504 UT": 1 });
  assert.deepEqual(asked.told, ["x-envoy-expected-rq-timeout-ms: 100"]);
});

Deno.test("a gRPC caller's deadline ends the stream, less an offset and up to a limit, and the upstream has the same", async () => {
  const route = { maxStreamDuration: { grpcTimeoutHeaderMax: "0.2s", grpcTimeoutHeaderOffset: "0.1s" } };
  const cases: [deadline: string, told: string[]][] = [
    ["150m", ["grpc-timeout: 50m"]],
    ["9S", ["grpc-timeout: 100m"]],
    ["100m", []],
    ["1u", []],
  ];
  for (const [deadline, told] of cases) {
    const asked = await ask(route, [grpcType, `grpc-timeout: ${deadline}`]);
    assert.equal(asked.status, 200, deadline);
    assert.equal(asked.grpc, "4", deadline);
    assert.match(asked.answer, /grpc-message: downstream duration timeout/);
    assert.deepEqual(asked.told, told, deadline);
  }
});

Deno.test("a gRPC caller's deadline is the timeout where the route has the older field", async () => {
  const route = { maxGrpcTimeout: "0.2s", grpcTimeoutOffset: "0.05s" };
  for (const [deadline, left] of [["grpc-timeout: 150m", 100], ["x-none: 1", 200], ["grpc-timeout: 9S", 200]]) {
    const asked = await ask(route, [grpcType, String(deadline)]);
    assert.equal(asked.grpc, "14");
    assert.match(asked.answer, /grpc-message: upstream request timeout/);
    assert.deepEqual(asked.told, [`grpc-timeout: ${left}m, x-envoy-expected-rq-timeout-ms: ${left}`]);
    assert.deepEqual(asked.flags, { "200 UT": 1 });
  }
});

Deno.test("without either field a deadline is only passed on", async () => {
  const asked = await ask({ timeout: "0.2s" }, [grpcType, "grpc-timeout: 10m"]);
  assert.equal(asked.grpc, "14");
  assert.deepEqual(asked.told, ["grpc-timeout: 10m, x-envoy-expected-rq-timeout-ms: 200"]);
});
