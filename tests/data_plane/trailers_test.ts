import assert from "node:assert/strict";
import http from "node:http";
import { endpoint, endpoints, TestProxy } from "./harness.ts";
import { exchangeUntilEnd, RawBackend, RawConnection, until } from "./raw_sockets.ts";

const host = "Host: a\r\n";
const chunkedPost = `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n`;
const chunkedAnswer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/** A backend that reads a request up to `end` and then sends `answer`. */
function answeringAfter(end: string, answer: string): RawBackend {
  return new RawBackend(async (connection) => {
    await until(() => connection.received.includes(end) || connection.ended, "the request");
    await connection.trySend(answer);
  });
}

/** What the backend gets of a chunked request, and the answer, with `body` sent as it stands. */
async function throughRequest(body: string | string[]): Promise<{ forwarded: string; answer: string }> {
  using backend = answeringAfter("\r\n0\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send(chunkedPost);
  for (const piece of typeof body === "string" ? [body] : body) {
    await client.trySend(piece);
    if (typeof body !== "string") await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await client.until(/\r\n\r\n/);
  if (client.received.startsWith("HTTP/1.1 200")) {
    await until(() => /\r\n0\r\n(.+\r\n)*\r\n$/.test(backend.received), () => JSON.stringify(backend.received));
  }
  return { forwarded: backend.received.replace(/^[^]*?\r\n\r\n/, ""), answer: client.received };
}

Deno.test("a request's trailers go to the backend, names in lower case, values as they are", async () => {
  const { forwarded, answer } = await throughRequest(
    "4\r\nbody\r\n0\r\nX-Sum: 4e (C0)\r\nX-Empty:\r\nx-sum: b\r\n\r\n",
  );
  assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(forwarded, /^4\r\nbody\r\n0\r\nx-sum: 4e \(C0\)\r\nx-empty: ?\r\nx-sum: b\r\n\r\n$/);
});

Deno.test("trailers that arrive byte by byte are the same trailers", async () => {
  const body = [..."4\r\nbody\r\n0\r\nX-Sum: 4e\r\nX-Two: 2\r\n\r\n"];
  assert.match((await throughRequest(body)).forwarded, /\r\n0\r\nx-sum: 4e\r\nx-two: 2\r\n\r\n$/);
});

Deno.test("a request's trailers are sent again with another attempt", async () => {
  using broken = new RawBackend(async (connection) => {
    await until(() => connection.received.includes("x-sum: 1\r\n\r\n") || connection.ended, "the request");
    connection.close();
  });
  using working = answeringAfter("x-sum: 1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  const { proxy, port } = await TestProxy.simple([broken.port], {
    action: {
      retry: {
        retryOn: ["reset"],
        numRetries: 1,
        perTryTimeout: 0,
        retriableStatusCodes: [],
        backOffBase: 300,
        backOffMax: 300,
        avoidPreviousHosts: false,
        hostSelectionMaxAttempts: 1,
      },
    },
  });
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send(chunkedPost + "4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n");
  await until(() => broken.received.endsWith("x-sum: 1\r\n\r\n"), "the first attempt");
  await proxy.update({ endpoints: [endpoints("backend", [endpoint(working.port)])] });
  await client.until(/\r\n\r\n/);
  assert.match(client.received, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(working.received, /\r\n\r\n4\r\nbody\r\n0\r\nx-sum: 1\r\n\r\n$/);
});

const refusedNames = [
  "Host",
  "Content-Length",
  "Transfer-Encoding",
  "Content_Length",
  "Connection",
  "Keep-Alive",
  "TE",
  "Trailer",
  "Upgrade",
  "Expect",
];

Deno.test("a request whose trailers frame, route, are for one hop, are too long or have no form is refused", async () => {
  using backend = new RawBackend();
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  const bad = [
    ...refusedNames.map((name) => `A: b\r\n${name}: 1`),
    `X: ${"a".repeat(8200)}`,
    "X: y\r\n".repeat(101).trimEnd(),
    "nonsense",
    "X : y",
    "X: y\r\n z",
    "X: \0",
  ];
  for (const trailers of bad) {
    const answer = await exchangeUntilEnd(port, `${chunkedPost}4\r\nbody\r\n0\r\n${trailers}\r\n\r\n`);
    assert.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/, trailers.slice(0, 40));
  }
  assert.doesNotMatch(backend.received, /\r\n0\r\n/);
});

Deno.test("trailers cannot say what the proxy says of the caller", async () => {
  const trailers =
    "X-Forwarded-Client-Cert: URI=spiffe://x\r\nX-Forwarded-For: 1.2.3.4\r\nX-Kept: 1\r\nX-Request-Id: 1\r\n";
  const { forwarded } = await throughRequest(`1\r\na\r\n0\r\n${trailers}\r\n`);
  assert.equal(forwarded, "1\r\na\r\n0\r\nx-kept: 1\r\n\r\n");
});

Deno.test("a response's trailers go to the caller, and the connections go on", async () => {
  using backend = new RawBackend(async (connection) => {
    for (let answered = 0;; answered++) {
      await until(() => connection.received.split("\r\n\r\n").length > answered + 1 || connection.ended, "a request");
      if (connection.ended) return;
      await connection.send(`${chunkedAnswer}4\r\nbody\r\n0\r\nX-Sum: ${answered}\r\n\r\n`);
    }
  });
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  for (const round of [0, 1]) {
    await client.send(`GET / HTTP/1.1\r\n${host}\r\n`);
    await client.until(new RegExp(`\\r\\n\\r\\n4\\r\\nbody\\r\\n0\\r\\nx-sum: ${round}\\r\\n\\r\\n$`));
  }
  assert.equal(backend.connections.length, 1);
});

Deno.test("a response to an HTTP/1.0 caller has no trailers", async () => {
  using backend = answeringAfter("\r\n\r\n", `${chunkedAnswer}4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n`);
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  const answer = await exchangeUntilEnd(port, `GET / HTTP/1.0\r\n${host}\r\n`);
  assert.match(answer, /\r\n\r\nbody$/);
});

Deno.test("a response with forbidden trailers is cut off", async () => {
  using backend = new RawBackend(async (connection, index) => {
    await until(() => connection.received.includes("\r\n\r\n"), "a request");
    await connection.trySend(`${chunkedAnswer}4\r\nbody\r\n0\r\n${refusedNames[index]}: 1\r\n\r\n`);
  });
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  for (const name of refusedNames) {
    assert.doesNotMatch(await exchangeUntilEnd(port, `GET / HTTP/1.1\r\n${host}\r\n`), /\r\n0\r\n/, name);
  }
  assert.equal(backend.connections.length, refusedNames.length);
});

Deno.test("node:http sends and receives trailers through the proxy, both ways", async () => {
  const server = http.createServer((request, response) => {
    request.resume().on("end", () => {
      response.writeHead(200, { Trailer: "x-answer" });
      response.write("body");
      response.addTrailers({ "x-answer": String(request.trailers["x-question"]) });
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const { proxy, port } = await TestProxy.simple([(server.address() as { port: number }).port]);
    await using _ = proxy;
    const trailers = await new Promise<NodeJS.Dict<string>>((resolve, reject) => {
      const request = http.request({ port, host: "127.0.0.1", method: "POST", headers: { Trailer: "x-question" } });
      request.on("error", reject).on("response", (response) => {
        response.resume().on("end", () => resolve(response.trailers));
      });
      request.write("body");
      request.addTrailers({ "x-question": "42" });
      request.end();
    });
    assert.equal(trailers["x-answer"], "42");
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

Deno.test("gRPC requests are counted by the status in their trailers, in their head, or by what HTTP says", async () => {
  const answers = [
    `${chunkedAnswer}0\r\ngrpc-status: 5\r\n\r\n`,
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\ngrpc-status: 0\r\n\r\n",
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
  ];
  using backend = new RawBackend(async (connection) => {
    for (let answered = 0; answered < answers.length; answered++) {
      await until(() => connection.received.split("\r\n\r\n").length > answered + 1 || connection.ended, "a request");
      await connection.send(answers[answered]);
    }
  });
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  for (let sent = 0; sent < answers.length; sent++) {
    await client.send(`POST / HTTP/1.1\r\n${host}Content-Type: application/grpc\r\nContent-Length: 0\r\n\r\n`);
    await until(() => client.received.split("HTTP/1.1 ").length === sent + 2, "an answer");
    await until(() => client.received.endsWith("\r\n\r\n"), "its end");
  }
  const counted = () =>
    proxy.threads.series().filter(({ metric }) => metric === "istio_requests_total")
      .map(({ labels }) => `${labels.request_protocol} ${labels.response_code} ${labels.grpc_response_status}`).sort();
  await until(() => counted().length === 3, "three series");
  assert.deepEqual(counted(), ["grpc 200 0", "grpc 200 5", "grpc 503 14"]);
});
