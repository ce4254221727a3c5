import assert from "node:assert/strict";
import { ClusterSlot, HostSlot } from "../../agent/config/shared_memory.ts";
import { newSlab } from "../../agent/sys/slab.ts";
import { Socket, WOULD_BLOCK } from "../../agent/sys/socket.ts";
import { Backend, cluster, endpoint, endpoints, forwardTo, freePort, listener, route, TestProxy } from "./harness.ts";
import { Mesh, sni } from "./mesh.ts";
import { exchangeUntilEnd, RawBackend, type RawConnection, statusOf, until } from "./raw_sockets.ts";

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

type End = "close" | "reset" | "half-close";
const ends: End[] = ["close", "reset", "half-close"];

/** A caller that can end its connection in any way, a reset included. */
class RudeClient {
  readonly #socket: Socket;
  readonly #buffer = newSlab(4096);

  constructor(port: number) {
    this.#socket = Socket.connect("127.0.0.1", port);
  }

  async send(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data.slice();
    for (let sent = 0; sent < bytes.length;) {
      const count = this.#socket.write(bytes as Uint8Array<ArrayBuffer>, null, sent, bytes.length - sent);
      if (count === WOULD_BLOCK) await pause(1);
      else if (count <= 0) return;
      else sent += count;
    }
  }

  /** Waits until something has arrived, and takes a little of it. */
  async receive(): Promise<void> {
    for (let i = 0; i < 2000; i++) {
      if (this.#socket.read(this.#buffer.bytes, this.#buffer.pointer, 0, this.#buffer.bytes.length) !== WOULD_BLOCK) {
        return;
      }
      await pause(1);
    }
    assert.fail("nothing arrived");
  }

  async end(how: End): Promise<void> {
    if (how === "half-close") {
      this.#socket.shutdownWrite();
      await pause(5);
    }
    if (how === "reset") {
      this.#socket.reset();
      return;
    }
    this.#socket.close();
  }
}

/** A backend that does to the first request of each connection what its path says. */
async function misbehave(connection: RawConnection): Promise<void> {
  await connection.until(/\r\n\r\n/);
  const path = /^\w+ \/([\w-]*)/.exec(connection.received)?.[1];
  const large = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10000000\r\n\r\n";
  switch (path) {
    case "close":
      return connection.close();
    case "partial-head":
      await connection.send("HTTP/1.1 200 OK\r\nX: ");
      return connection.close();
    case "partial-body":
      await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
      return connection.close();
    case "partial-chunk":
      await connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe");
      return connection.close();
    case "half-close":
      await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
      return await connection.finishSending();
    case "garbage":
      return await connection.trySend(new Uint8Array(5000).fill(7));
    case "excess":
      return await connection.trySend("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nexcess");
    case "early":
      return await connection.trySend("HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    case "large":
      await connection.send(large);
      return await connection.trySend(new Uint8Array(10_000_000));
    case "stall":
      return;
    default:
      return await connection.trySend("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
  }
}

/** What a caller is told of each; a response that has begun keeps its status. */
const shown: Record<string, number[]> = {
  "close": [503],
  "partial-head": [503],
  "partial-body": [200],
  "partial-chunk": [200],
  "half-close": [200],
  "garbage": [502, 503],
  "excess": [200],
  "early": [413],
};
const behaviours = Object.keys(shown);

/** Backends whose connections begin with a reset: they are closed with the request unread. */
class ResettingBackend implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly port = (this.#listener.addr as Deno.NetAddr).port;
  constructor() {
    void (async () => {
      for (let i = 0;; i++) {
        const connection = await this.#listener.accept();
        // Some before the request has arrived, some after; some with half an answer.
        setTimeout(async () => {
          if (i % 2 === 1) {
            await connection.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")).catch(
              () => {},
            );
          }
          connection.close();
        }, i % 3);
      }
    })().catch(() => {});
  }
  [Symbol.dispose](): void {
    this.#listener.close();
  }
}

const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;

/** Everything that a caller can do to the plain listener, each as a promise that ends with the connection's end. */
function* assaults(port: number): Generator<Promise<void>> {
  const attack = async (how: End, steps: (client: RudeClient) => Promise<void>) => {
    const client = new RudeClient(port);
    await steps(client);
    await client.end(how);
  };
  const request = (path: string, method = "GET", headers = "") =>
    `${method} /${path} HTTP/1.1\r\nHost: bad\r\n${headers}\r\n`;
  for (const how of ends) {
    yield attack(how, async () => {});
    yield attack(how, (client) => client.send("GET / HT"));
    yield attack(how, (client) => client.send("GET / HTTP/1.1\r\nHost: bad\r\nX"));
    yield attack(how, (client) => client.send("nonsense\r\n\r\n"));
    yield attack(how, (client) => client.send(request("stall", "POST", "Content-Length: 9\r\n") + "half"));
    yield attack(how, (client) => client.send(request("stall", "POST", "Transfer-Encoding: chunked\r\n") + "5\r\nhe"));
    yield attack(how, (client) => client.send(request("stall", "POST", "Transfer-Encoding: chunked\r\n") + "zz\r\n"));
    yield attack(
      how,
      (client) => client.send(request("early", "POST", "Content-Length: 1000000\r\n") + "x".repeat(100_000)),
    );
    yield attack(how, (client) => client.send(request("large")));
    yield attack(how, (client) => client.send(request("ok").repeat(50)));
    yield attack(how, async (client) => {
      await client.send(request("stall"));
      await pause(5);
    });
    yield attack(how, async (client) => {
      await client.send(request("large"));
      await client.receive();
    });
    yield attack(how, async (client) => {
      await client.send(request("ok"));
      await client.receive();
    });
    yield attack(how, async (client) => {
      await client.send(request("ok") + request("stall") + request("ok"));
      await client.receive();
    });
    for (const behaviour of [...behaviours, "reset"]) {
      for (const [method, headers] of [["GET", ""], ["POST", "Content-Length: 100000\r\n"]]) {
        const text = request(behaviour, method, headers).replace(
          "Host: bad",
          behaviour === "reset" ? "Host: reset" : "Host: bad",
        );
        yield attack(how, async (client) => {
          await client.send(text + (method === "POST" ? "x".repeat(50_000) : ""));
          await pause(10);
        });
      }
    }
  }
}

/** Requests without pause that must all succeed, whatever goes on beside them. */
class Bystanders {
  readonly failures: string[] = [];
  done = 0;
  #stop = false;
  readonly #client = Deno.createHttpClient({});
  readonly #callers: Promise<void>[];

  constructor(url: string) {
    this.#callers = Array.from({ length: 4 }, async () => {
      while (!this.#stop) {
        try {
          const response = await fetch(url, {
            client: this.#client,
            method: "POST",
            body: "hello",
            headers: { host: "good" },
          });
          const text = await response.text();
          if (response.status !== 200 || text !== "hello") this.failures.push(`${response.status} ${text}`);
        } catch (error) {
          this.failures.push(String(error));
        }
        this.done++;
      }
    });
  }

  async end(): Promise<void> {
    this.#stop = true;
    await Promise.all(this.#callers);
    this.#client.close();
    assert.ok(this.done > 0);
    assert.deepEqual(this.failures, []);
  }
}

/** @param excess how many descriptors there are beyond those of before */
async function assertNothingLeft(proxy: TestProxy, clusters: string[], excess: () => number): Promise<void> {
  for (const name of clusters) {
    for (const counter of ["activeRequests", "pendingRequests", "activeRetries", "activeConnections"] as const) {
      await until(
        () => proxy.clusterCounter(ClusterSlot[counter], name) === 0,
        () => `${name} ${counter}: ${proxy.clusterCounter(ClusterSlot[counter], name)}`,
      );
    }
    for (const counter of ["activeRequests", "activeConnections"] as const) {
      const values = () => [...proxy.hostCounters(HostSlot[counter], name).values()];
      await until(() => values().every((value) => value === 0), () => `${name} hosts' ${counter}: ${values()}`);
    }
  }
  await until(() => excess() <= 0, () => `${excess()} more descriptors than before`);
}

/** A cluster whose idle connections go soon, so that nothing but leaks is left at the end. */
function shortLived(name: string) {
  return cluster({
    name,
    idleTimeout: 100,
    circuitBreakers: { maxConnections: 50, maxPendingRequests: 20, maxRequests: 100, maxRetries: 3 },
  });
}

function retrying(name: string) {
  return forwardTo(name, {
    timeout: 20_000,
    retry: {
      retryOn: ["5xx", "reset", "connect-failure"],
      numRetries: 2,
      perTryTimeout: 10_000,
      retriableStatusCodes: [],
      backOffBase: 1,
      backOffMax: 5,
      avoidPreviousHosts: true,
      hostSelectionMaxAttempts: 3,
    },
  });
}

Deno.test("callers and upstreams that break off at every stage leave nothing behind and harm nobody", async () => {
  await using good = new Backend(async (request) => new Response(await request.text()));
  using bad = new RawBackend(misbehave);
  using resetting = new ResettingBackend();
  const port = freePort();
  await using proxy = await TestProxy.start({
    clusters: ["good", "bad", "reset"].map(shortLived),
    endpoints: [
      endpoints("good", [endpoint(good.port)]),
      endpoints("bad", [endpoint(bad.port), endpoint(freePort())]),
      endpoints("reset", [endpoint(resetting.port)]),
    ],
    routes: [{
      name: "routes",
      virtualHosts: ["good", "bad", "reset"].map((name) => ({
        name,
        domains: name === "good" ? ["*"] : [name],
        routes: [route({ action: name === "good" ? forwardTo(name) : retrying(name) })],
      })),
    }],
    listeners: [listener(port)],
  }, 2);
  const before = descriptors();
  // Without haste each misbehaviour shows: else the assault below would miss its aim.
  for (const [behaviour, statuses] of Object.entries(shown)) {
    const answer = await exchangeUntilEnd(port, `GET /${behaviour} HTTP/1.1\r\nHost: bad\r\nConnection: close\r\n\r\n`);
    assert.ok(statuses.includes(statusOf(answer)), `${behaviour}: ${answer}`);
  }
  const bystanders = new Bystanders(`http://127.0.0.1:${port}/`);
  for (let round = 0; round < 8; round++) {
    await Promise.all(assaults(port));
    for (const connection of bad.connections.splice(0)) connection.close();
  }
  await bystanders.end();
  await assertNothingLeft(proxy, ["good", "bad", "reset"], () => {
    // Some are accepted only now.
    for (const connection of bad.connections.splice(0)) connection.close();
    return descriptors() - before;
  });
});

/** What `openssl s_client` sends first. */
async function clientHello(): Promise<Uint8Array> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const child = new Deno.Command("openssl", {
    args: [
      "s_client",
      "-connect",
      `127.0.0.1:${(listener.addr as Deno.NetAddr).port}`,
      "-servername",
      sni,
      "-alpn",
      "istio-http/1.1",
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  using connection = await listener.accept();
  const buffer = new Uint8Array(4096);
  const count = await connection.read(buffer);
  connection.close();
  await child.status;
  return buffer.slice(0, count!);
}

Deno.test("TLS handshakes abandoned at every stage leave nothing behind and harm nobody", async () => {
  const hello = await clientHello();
  await using mesh = await Mesh.start(async (request) => new Response(await request.text()), { workers: 2 });
  const before = descriptors();
  const bystanders = new Bystanders(`http://127.0.0.1:${mesh.outboundPort}/`);
  const attack = async (how: End, ...parts: (string | Uint8Array)[]) => {
    const client = new RudeClient(mesh.inboundPort);
    for (const part of parts) {
      await client.send(part);
      await pause(2);
    }
    await client.end(how);
  };
  for (let round = 0; round < 8; round++) {
    const attacks: Promise<void>[] = [];
    for (const how of ends) {
      attacks.push(attack(how), attack(how, "GET / HTTP/1.1\r\n\r\n"), attack(how, hello), attack(how, hello, hello));
      attacks.push(
        attack(how, hello, "garbage in place of a record"),
        attack(how, hello, Uint8Array.of(20, 3, 3, 0, 1, 1)),
      );
      for (const cut of [1, 4, 5, 6, 100, hello.length - 1]) {
        attacks.push(attack(how, hello.subarray(0, cut)), attack(how, hello.subarray(0, cut), hello.subarray(cut)));
      }
    }
    await Promise.all(attacks);
  }
  await bystanders.end();
  // Idle connections between the two proxies and to the application are there still: a new configuration ends them.
  await mesh.proxy.update({
    proxy: "productpage",
    removedClusters: ["backend"],
    removedListeners: [`127.0.0.1_${mesh.outboundPort}`],
  });
  await mesh.receiver.update({ proxy: "reviews", removedClusters: ["inbound|9080||"] });
  await until(() => descriptors() <= before, () => `${descriptors()} descriptors, ${before} before`);
});

Deno.test("the check for descriptors that are left can fail", async () => {
  const { proxy } = await TestProxy.simple([]);
  await using _ = proxy;
  const before = descriptors();
  const left = await Deno.open("/dev/null");
  assert.ok(descriptors() > before);
  left.close();
});
