import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { EndpointConfig } from "../../agent/config/model.ts";
import type { JsonObject } from "@bufbuild/protobuf";
import { ClusterSchema } from "../../routing/xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { translateCluster } from "../../agent/config/translate/cluster.ts";
import { message } from "../../agent/config/translate/testdata/envoy_json.ts";
import { Http2Backend } from "./http2_peer.ts";
import { RawBackend, until as met } from "./raw_sockets.ts";
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
  /** Of everything else. */
  status = 200;

  constructor(name: string) {
    super((request) => {
      if (new URL(request.url).pathname !== "/healthz") return new Response(name, { status: this.status });
      this.checks.push({ method: request.method, host: request.headers.get("host") });
      return new Response(null, { status: this.health });
    });
  }
}

/** Two data threads with a cluster of these hosts or ports, checked like this. `more`: of the cluster. */
async function start(
  hosts: (number | EndpointConfig)[],
  healthCheck: JsonObject,
  more: JsonObject = {},
): Promise<{ proxy: TestProxy; url: string }> {
  const port = freePort();
  const { cluster } = translateCluster(
    message(ClusterSchema, {
      name: "backend",
      commonLbConfig: { healthyPanicThreshold: { value: 0 } },
      healthChecks: [{ ...times, ...healthCheck }],
      ...more,
    }),
  );
  const proxy = await TestProxy.start({
    clusters: [{ ...cluster, slot: 0 }],
    endpoints: [endpoints("backend", hosts.map((one) => typeof one === "number" ? endpoint(one) : one), 0)],
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

Deno.test("checks carry the headers that their configuration adds, without those that it removes", async () => {
  const heads: string[] = [];
  using backend = new RawBackend(async (connection) => {
    await connection.until(/\r\n\r\n/);
    heads.push(connection.received);
    await connection.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    connection.close();
  });
  const header = (key: string, value: string) => ({ header: { key, value } });
  const { proxy } = await start([backend.port], {
    httpHealthCheck: {
      path: "/healthz",
      host: "health.example",
      requestHeadersToAdd: [header("x-probe", "one"), header("x-probe", "two")],
      requestHeadersToRemove: ["User-Agent"],
    },
  });
  await using _ = proxy;
  await met(() => heads.length > 0, "a check");
  assert.equal(heads[0], "GET /healthz HTTP/1.1\r\nhost: health.example\r\nx-probe: one\r\nx-probe: two\r\n\r\n");

  using grpc = new Http2Backend();
  const optionsName = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
  const { proxy: other } = await start([grpc.port], {
    grpcHealthCheck: { initialMetadata: [header("x-probe", "three")] },
  }, {
    typedExtensionProtocolOptions: {
      [optionsName]: {
        "@type": `type.googleapis.com/${optionsName}`,
        explicitHttpConfig: { http2ProtocolOptions: {} },
      },
    },
  });
  await using __ = other;
  await met(() => grpc.requests > 0, "a check");
  const [message] = grpc.peers[0].messages.values();
  assert.equal(message.field("x-probe"), "three");
  assert.equal(message.field("user-agent"), "skiff/HC");
});

Deno.test("an ejected host comes back when it passes its check, unless that is switched off", async () => {
  for (const unejects of [true, false]) {
    await using a = new Checked("a");
    const { proxy, url } = await start([a.port], { httpHealthCheck: { path: "/healthz" } }, {
      outlierDetection: {
        consecutive5xx: 1,
        baseEjectionTime: "600s",
        maxEjectionTime: "600s",
        successfulActiveHealthCheckUnejectHost: unejects,
      },
    });
    await using _ = proxy;
    await until(url, "a");
    a.status = 500;
    await (await fetch(url)).body?.cancel();
    a.status = 200;
    assert.equal((await fetch(url).then(async (answer) => (await answer.text(), answer))).status, 503);
    const checks = a.checks.length;
    if (unejects) await until(url, "a");
    else {
      await met(() => a.checks.length > checks + 2, "more checks");
      await new Promise((resolve) => setTimeout(resolve, 2500));
      assert.equal(await answers(url), "503");
    }
  }
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

/** A server that answers each line it is sent with `answer`. */
class Talker implements AsyncDisposable {
  readonly heard: string[] = [];
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly port = (this.#listener.addr as Deno.NetAddr).port;
  readonly #serving: Promise<void>;

  constructor(public answer: string[]) {
    this.#serving = (async () => {
      const talks: Promise<void>[] = [];
      for await (const connection of this.#listener) talks.push(this.#talk(connection));
      await Promise.all(talks);
    })();
  }

  async #talk(connection: Deno.Conn): Promise<void> {
    const buffer = new Uint8Array(1024);
    try {
      const count = await connection.read(buffer);
      this.heard.push(new TextDecoder().decode(buffer.subarray(0, count ?? 0)));
      for (const part of this.answer) {
        await connection.write(new TextEncoder().encode(part));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      while (await connection.read(buffer) !== null);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
    }
    connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#serving;
  }
}

Deno.test("a TCP check may send bytes and want others, in their order, from a port of its own", async () => {
  await using a = new Checked("a");
  await using talker = new Talker(["+PO", "NG and", " more DONE"]);
  const { proxy, url } = await start([a.port], {
    altPort: talker.port,
    timeout: "0.5s",
    tcpHealthCheck: {
      send: { text: "50494E470A" },
      receive: [{ text: "2b504f4e47" }, { binary: btoa("DONE") }],
    },
  });
  await using _ = proxy;
  await until(url, "a");
  assert.equal(talker.heard[0], "PING\n");
  assert.equal(a.checks.length, 0);
  talker.answer = ["DONE", "+PONG"];
  await until(url, "503");
});

Deno.test("an endpoint may be checked at a port and by a name of its own, or not at all", async () => {
  await using elsewhere = new Checked("elsewhere");
  await using a = new Checked("a");
  await using b = new Checked("b");
  a.health = b.health = 500;
  const list = [
    endpoint(a.port, { healthCheck: { port: elsewhere.port, hostname: "a.example", disabled: false } }),
    endpoint(b.port, { healthCheck: { port: 0, hostname: "", disabled: true } }),
  ];
  const { proxy, url } = await start(list, { httpHealthCheck: { path: "/healthz" } });
  await using _ = proxy;
  await until(url, "a b");
  assert.equal(elsewhere.checks[0].host, "a.example");
  assert.deepEqual([a.checks.length, b.checks.length], [0, 0]);
  elsewhere.health = 500;
  await until(url, "b");
});

Deno.test("a gRPC check wants the word SERVING from a server of grpc-js", async () => {
  const process = new Deno.Command("node", {
    args: [fileURLToPath(new URL("grpc/echo_server.cjs", import.meta.url)), "shop.Cart"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const output = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const say = process.stdin.getWriter();
  const port = Number(/port (\d+)/.exec((await output.read()).value!)![1]);
  const http2Options = {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
      "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
      explicitHttpConfig: { http2ProtocolOptions: {} },
    },
  };
  const more = { typedExtensionProtocolOptions: http2Options };
  // What is no gRPC method, the server answers with grpc-status 12 over HTTP 200 or with another status: it is reached.
  const reached = async (url: string) => {
    const response = await fetch(url, { method: "POST", headers: { "content-type": "application/grpc" } });
    await response.body?.cancel();
    return response.headers.get("grpc-status") !== "14";
  };
  const wait = async (url: string, wanted: boolean) => {
    while (await reached(url) !== wanted) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  {
    const { proxy, url } = await start([port], { grpcHealthCheck: { serviceName: "shop.Cart" } }, more);
    await using _ = proxy;
    await wait(url, true);
    await say.write(new TextEncoder().encode("2"));
    await wait(url, false);
    await say.write(new TextEncoder().encode("1"));
    await wait(url, true);
  }
  {
    const { proxy, url } = await start([port], { grpcHealthCheck: {}, unhealthyThreshold: 1 }, more);
    await using _ = proxy;
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(await reached(url), false, "the server as a whole is not known to it");
  }
  await say.close();
  process.kill();
  await output.cancel();
  await process.status;
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
