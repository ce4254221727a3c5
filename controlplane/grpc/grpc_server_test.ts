import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Client, credentials, type ServiceError, status } from "@grpc/grpc-js";
import { until } from "../testing/test_mesh.ts";
import { check, framed } from "./testing/echo_server.ts";

const bytes = (length: number) => Uint8Array.from({ length }, (_, index) => index * 7);

check("a call is answered, an unknown method is not, and neither is what is no gRPC", async ({ server, ...echo }) => {
  using client = echo.client();
  deepEqual(await echo.call(client, "/test.Echo/Unary", bytes(10)), { status: null, message: bytes(10) });
  deepEqual(await echo.call(client, "/test.Echo/None", bytes(10)), { status: "12", message: null });
  deepEqual(await echo.call(client, "/test.Echo/Unary", bytes(2000)), { status: "8", message: null });
  const page = await fetch(`https://127.0.0.1:${server.port}/`, { client });
  equal(page.status, 415);
  await page.body?.cancel();
});

check("messages larger than every window and frame come through in both directions", async (echo) => {
  using client = echo.client();
  const large = bytes(5_000_000);
  const { message } = await echo.call(client, "/test.Echo/Stream", large);
  ok(message !== null && Buffer.compare(message, large) === 0);
});

check("a hundred calls at once on one connection are all answered, each with its own", async (echo) => {
  using client = echo.client();
  const messages = Array.from({ length: 100 }, (_, index) => bytes(index * 10));
  const answers = await Promise.all(messages.map((message) => echo.call(client, "/test.Echo/Unary", message)));
  deepEqual(answers.map(({ message }) => message), messages);
});

check("@grpc/grpc-js sees status and details, and what they say in other scripts", async ({ server, identity }) => {
  const client = new Client(
    `127.0.0.1:${server.port}`,
    credentials.createSsl(
      Buffer.from(identity.trustBundle),
      Buffer.from(identity.privateKey),
      Buffer.from(identity.chain),
    ),
    { "grpc.ssl_target_name_override": "localhost" },
  );
  const asIs = (buffer: Buffer) => buffer;
  const call = (path: string) =>
    new Promise((resolve, reject) =>
      client.makeUnaryRequest(
        path,
        asIs,
        asIs,
        Buffer.from("hi"),
        (error, answer) => error ? reject(error) : resolve(answer),
      )
    );
  deepEqual(await call("/test.Echo/Unary"), Buffer.from("hi"));
  await rejects(call("/test.Écho/%"), (error: ServiceError) => {
    equal(error.code, status.UNIMPLEMENTED);
    return true;
  });
  client.close();
});

check("a stream carries messages both ways until the client ends it", async (echo) => {
  using client = echo.client();
  const { readable, writable } = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>();
  const writer = writable.getWriter();
  const response = fetch(`https://127.0.0.1:${echo.server.port}/test.Echo/Stream`, {
    method: "POST",
    client,
    headers: { "content-type": "application/grpc" },
    body: readable,
  });
  await writer.write(framed(bytes(3)));
  const reader = (await response).body!.getReader();
  deepEqual((await reader.read()).value, framed(bytes(3)));
  // In two pieces, as a network may deliver it.
  await writer.write(framed(bytes(9)).subarray(0, 4) as Uint8Array<ArrayBuffer>);
  await writer.write(framed(bytes(9)).subarray(4) as Uint8Array<ArrayBuffer>);
  deepEqual((await reader.read()).value, framed(bytes(9)));
  equal(echo.calls.size, 1);
  await writer.close();
  equal((await reader.read()).done, true);
  await until(() => echo.calls.size === 0, "the call is over");
});

check("hundreds of connections that end in every manner leave the server serving, and nothing behind", async (echo) => {
  let answered = 0;
  const useAndLeave = async (manner: number) => {
    if (manner % 3 === 2) return await breakOff(manner);
    const client = echo.client();
    const abort = new AbortController();
    const calls = Array.from({ length: 1 + manner % 8 }, async () => {
      try {
        await echo.call(client, "/test.Echo/Unary", bytes(100), abort.signal);
        answered++;
      } catch {
        // It was cut off, as it was meant to be.
      }
    });
    if (manner % 3 === 0) await Promise.all(calls);
    else await new Promise((resolve) => setTimeout(resolve, manner % 7));
    if (manner % 2 === 1) abort.abort();
    // Sends GOAWAY.
    client.close();
    await Promise.all(calls);
  };
  /** Connections that end in the middle of something. */
  const breakOff = async (manner: number) => {
    const raw = await echo.raw();
    for (let stream = 1; stream < 40; stream += 2) raw.request(stream, "/test.Echo/Stream");
    raw.send(0, 0, 1, framed(bytes(50)));
    if (manner % 2 === 0) raw.send(3, 0, 1, new Uint8Array([0, 0, 0, 8]));
    if (manner % 4 < 2) raw.send(7, 0, 0, new Uint8Array(8));
    if (manner % 5 > 1) await until(() => raw.frames.some(({ type }) => type === 0) || raw.closed, "an echo");
    if (manner % 7 < 3) raw.socket.end();
    else raw.socket.destroy();
  };
  let next = 0;
  await Promise.all(Array.from({ length: 8 }, async () => {
    while (next < 400) await useAndLeave(next++);
  }));
  ok(answered > 400, `${answered} calls were answered`);
  await until(() => echo.calls.size === 0, "every call is over");
  using client = echo.client();
  deepEqual((await echo.call(client, "/test.Echo/Unary", bytes(5))).message, bytes(5));
});

check("a client without a certificate of the mesh gets no connection", async ({ server, identity }) => {
  using stranger = Deno.createHttpClient({ caCerts: [identity.trustBundle] });
  await rejects(fetch(`https://127.0.0.1:${server.port}/test.Echo/Unary`, { method: "POST", client: stranger }));
});

check("a server that shuts down cuts what does not end", async ({ server, calls, raw }) => {
  const connection = await raw();
  connection.request(1, "/test.Echo/Stream");
  await until(() => calls.size === 1, "the call is there");
  await server.shutdown();
  equal(calls.size, 0);
  await until(() => connection.closed, "the connection has closed");
  equal(connection.goneWith, 0);
});
