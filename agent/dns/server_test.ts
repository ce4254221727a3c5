import { deepEqual, equal, rejects } from "node:assert/strict";
import { Buffer } from "node:buffer";
// @ts-types="@types/dns-packet"
import { decode, encode, type Packet } from "dns-packet";
import { Answerer } from "./answer.ts";
import { exchange } from "./exchange.ts";
import { nameTable } from "./name_table.ts";
import { Resolver } from "./resolver.ts";
import { DnsServer } from "./server.ts";
import { startNameServer } from "./testdata/name_server.ts";

const listeners = [{ address: "127.64.1.1", service: "reviews.default.svc.cluster.local" }];

async function started(upstream: { address: string; port: number }) {
  const resolver = new Resolver({ servers: [upstream] });
  const names = () => nameTable(listeners, "default");
  const server = await DnsServer.start(
    "127.0.0.1",
    0,
    new Answerer({ names, forward: (query) => resolver.forward(query) }),
  );
  return { server, [Symbol.dispose]: () => server.stop() };
}

function query(name: string, type: "A" | "AAAA" | "TXT" = "A", id = 4711): Uint8Array {
  return encode({ type: "query", id, flags: 0x0100, questions: [{ name, type }] });
}

async function ask(server: DnsServer, question: Uint8Array): Promise<Packet> {
  return decode(Buffer.from(await exchange(server, question, AbortSignal.timeout(5000))));
}

const code = ({ flags = 0 }: Packet) => flags & 0xf;
const truncated = ({ flags = 0 }: Packet) => (flags & 0x0200) !== 0;

/** Sends bytes over TCP, and reads until the server ends the connection or has answered `size` bytes. */
async function stream(server: DnsServer, bytes: Uint8Array, size: number): Promise<Uint8Array> {
  using connection = await Deno.connect({ hostname: server.address, port: server.port });
  await connection.write(bytes);
  const answer = new Uint8Array(size);
  let have = 0;
  while (have < size) {
    const count = await connection.read(answer.subarray(have)).catch(() => null);
    if (count === null) break;
    have += count;
  }
  return answer.subarray(0, have);
}

const framed = (message: Uint8Array) => new Uint8Array([message.length >> 8, message.length & 255, ...message]);

Deno.test("names of the mesh have their address, and no IPv6", async () => {
  await using upstream = await startNameServer();
  using running = await started(upstream);
  const answer = await ask(running.server, query("reviews"));
  deepEqual(answer.answers?.map((record) => "data" in record && [record.data, "ttl" in record && record.ttl]), [
    ["127.64.1.1", 30],
  ]);
  equal(answer.id, 4711);
  for (const type of ["AAAA", "TXT"] as const) {
    const empty = await ask(running.server, query("reviews.default.svc.cluster.local", type));
    deepEqual([code(empty), empty.answers?.length], [0, 0]);
  }
  deepEqual(upstream.asked, []);
});

Deno.test("other names are asked of this machine's servers, over TCP where the answer is long", async () => {
  await using upstream = await startNameServer();
  using running = await started(upstream);
  upstream.records.set("a.example A", [{ type: "A", name: "a.example", ttl: 5, data: "192.0.2.1" }]);
  const answer = await ask(running.server, query("a.example"));
  deepEqual([answer.id, answer.answers?.length, code(answer)], [4711, 1, 0]);
  equal(code(await ask(running.server, query("none.example"))), 3);
  const many = Array.from({ length: 100 }, (_, i) => `192.0.2.${i}`);
  upstream.records.set("b.example A", many.map((data) => ({ type: "A", name: "b.example", ttl: 5, data })));
  // The exchange asks again over TCP when the datagram is cut off.
  equal((await ask(running.server, query("b.example"))).answers?.length, 100);
});

Deno.test("a datagram takes no more than its sender says", async () => {
  const many = Array.from({ length: 100 }, (_, i) => ({ address: `127.64.2.${i}`, service: "many.example" }));
  const answerer = new Answerer({
    names: () => nameTable(many, "default"),
    forward: () => Promise.reject(new Error("nobody")),
  });
  const answer = await answerer.answer(query("many.example"), true);
  equal(truncated(decode(Buffer.from(answer!))), true);
  equal(answer!.length <= 512, true);
  const whole = await answerer.answer(query("many.example"), false);
  equal(decode(Buffer.from(whole!)).answers?.length, 100);
});

Deno.test("whoever asks for other names while no server answers is told so", async () => {
  await using upstream = await startNameServer();
  upstream.trouble = "silence";
  using running = await started(upstream);
  equal(code(await ask(running.server, query("a.example"))), 2);
});

Deno.test("hostile queries get a short answer or none", async () => {
  const answerer = new Answerer({
    names: () => nameTable(listeners, "default"),
    forward: () => Promise.reject(new Error("nobody")),
  });
  const answerTo = async (bytes: Uint8Array) => await answerer.answer(bytes, true);
  equal(await answerTo(new Uint8Array(0)), null);
  equal(await answerTo(new Uint8Array(11)), null);
  const response = query("reviews");
  response[2] |= 0x80;
  equal(await answerTo(response), null, "an answer is not answered");
  const header = (fields: [number, number][]) => {
    const bytes = query("reviews").slice();
    for (const [at, value] of fields) bytes[at] = value;
    return bytes;
  };
  const codeOf = async (bytes: Uint8Array) => (await answerTo(bytes))![3] & 0xf;
  equal(await codeOf(header([[2, 0x28]])), 4, "an update");
  equal(await codeOf(header([[5, 0]])), 1, "no question");
  equal(await codeOf(header([[5, 2]])), 1, "two questions, of which one is missing");
  equal(await codeOf(query("reviews").subarray(0, 16)), 1, "cut off");
  // A name that points at itself.
  const loop = new Uint8Array([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1]);
  equal(await codeOf(loop), 1, "a loop");
  for (let i = 0; i < 2000; i++) {
    const bytes = query("reviews").slice();
    for (let k = 0; k < 4; k++) bytes[Math.floor(Math.random() * bytes.length)] = Math.floor(Math.random() * 256);
    const answer = await answerTo(bytes);
    equal(answer === null || answer.length <= 512, true);
  }
});

Deno.test("a flood of other names is answered in bounded number", async () => {
  let waiting = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const answerer = new Answerer({
    names: () => new Map(),
    forward: async (bytes) => {
      waiting++;
      await promise;
      return bytes;
    },
  });
  const all = Array.from({ length: 1000 }, (_, i) => answerer.answer(query(`n${i}.example`), true));
  const refused = await Promise.all(all.slice(256));
  equal(refused.every((answer) => (answer![3] & 0xf) === 2), true);
  equal(waiting, 256);
  resolve();
  await Promise.all(all);
});

Deno.test("answers several queries on one stream, and ends one that breaks off or says nonsense", async () => {
  await using upstream = await startNameServer();
  using running = await started(upstream);
  const one = framed(query("reviews"));
  const length = (await stream(running.server, one, 2))[1] + 2;
  const answers = await stream(running.server, new Uint8Array([...one, ...one]), 2 * length);
  equal(answers.length, 2 * length);
  equal((await stream(running.server, framed(new Uint8Array(5)), 1)).length, 0);
  // Those who do not go on hold nobody up.
  const idle = await Promise.all(
    Array.from({ length: 64 }, () => Deno.connect({ hostname: running.server.address, port: running.server.port })),
  );
  equal(code(await ask(running.server, query("reviews"))), 0);
  for (const connection of idle) connection.close();
});

Deno.test("an agent does not ask itself", async () => {
  const resolver = new Resolver({ servers: [{ address: "127.0.0.1", port: 15_053 }], isOurs: () => true });
  await rejects(resolver.forward(query("a.example")), /no DNS server/);
});
