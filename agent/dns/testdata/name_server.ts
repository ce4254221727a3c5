/** A DNS server for tests, on a port of its own: UDP, and TCP for what is truncated. */
import { Buffer } from "node:buffer";
import { createSocket } from "node:dgram";
// @ts-types="@types/dns-packet"
import { type Answer, decode, encode, type Packet } from "dns-packet";
import type { NameServer } from "../system_files.ts";

export interface TestNameServer extends AsyncDisposable, NameServer {
  /** Records by `name type`; a name without any does not exist. */
  records: Map<string, Answer[]>;
  /** What every answer has in the place of records: a response code, or silence. */
  trouble: number | "silence" | null;
  /** Over UDP every answer is cut off. */
  truncates: boolean;
  /** Questions so far, as `name type`. */
  asked: string[];
}

const truncated = 0x0200;

export async function startNameServer(): Promise<TestNameServer> {
  const { socket, listener, port } = await openBoth();
  const server: TestNameServer = {
    address: "127.0.0.1",
    port,
    records: new Map(),
    trouble: null,
    truncates: false,
    asked: [],
    async [Symbol.asyncDispose]() {
      listener.close();
      await new Promise<void>((resolve) => socket.close(() => resolve()));
    },
  };
  socket.on("message", (message: Buffer, peer: { address: string; port: number }) => {
    const answer = answerTo(server, decode(message));
    if (answer === null) return;
    if (server.truncates) Object.assign(answer, { flags: (answer.flags ?? 0) | truncated, answers: [] });
    socket.send(encode(answer), peer.port, peer.address);
  });
  void serveStreams(listener, server);
  return server;
}

/** One port of both protocols; the kernel's choice for one may be taken in the other. */
async function openBoth() {
  for (;;) {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    const socket = createSocket("udp4");
    const bound = await new Promise<boolean>((resolve) => {
      socket.once("error", () => resolve(false));
      socket.bind(port, "127.0.0.1", () => resolve(true));
    });
    if (bound) return { socket, listener, port };
    listener.close();
  }
}

async function serveStreams(listener: Deno.Listener, server: TestNameServer): Promise<void> {
  for await (const connection of listener) {
    const bytes = new Uint8Array(2 + 512);
    const count = await connection.read(bytes) ?? 0;
    const answer = answerTo(server, decode(Buffer.from(bytes.subarray(2, count))));
    if (answer !== null) {
      const message = encode(answer);
      await connection.write(new Uint8Array([message.length >> 8, message.length & 255, ...message]));
    }
    connection.close();
  }
}

function answerTo(server: TestNameServer, { id, questions = [] }: Packet): Packet | null {
  const [{ name, type }] = questions;
  server.asked.push(`${name} ${type}`);
  if (server.trouble === "silence") return null;
  const known = [...server.records.keys()].some((key) => key.split(" ")[0] === name);
  const code = server.trouble ?? (known ? 0 : 3);
  const answers = server.trouble === null ? server.records.get(`${name} ${type}`) ?? [] : [];
  return { type: "response", id, flags: 0x0180 | code, questions, answers };
}
