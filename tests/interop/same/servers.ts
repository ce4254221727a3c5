/** What both proxies forward to: servers that say what reached them, and fail as they are asked to. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** What a server says of a request. */
export interface Seen {
  server: string;
  method: string;
  path: string;
  /** Names in lower case, in order of name; values of one name in order of arrival. */
  headers: [string, string][];
  body: string;
}

export const serverNames = ["a", "b", "c"] as const;
export type ServerName = typeof serverNames[number];

/** `/status/503`; `/first/503/KEY`: that status once, then 200; `/slow/300`: after as many milliseconds; `/reset`. */
class EchoServer implements AsyncDisposable {
  readonly #asked = new Map<string, number>();
  readonly #server: Server;

  constructor(readonly name: string) {
    this.#server = createServer((request, response) => {
      const path = request.url ?? "";
      const count = (this.#asked.get(path) ?? 0) + 1;
      this.#asked.set(path, count);
      const [, word, number] = path.split(/[/?]/);
      if (word === "reset") return void request.socket.destroy();
      const parts: Uint8Array[] = [];
      request.on("data", (part) => parts.push(part));
      request.on("end", async () => {
        if (word === "slow") await new Promise((resolve) => setTimeout(resolve, Number(number)));
        const raw = request.rawHeaders;
        const headers = Array.from(
          { length: raw.length / 2 },
          (_, i): [string, string] => [raw[2 * i].toLowerCase(), raw[2 * i + 1]],
        ).sort(([one], [other]) => one < other ? -1 : one > other ? 1 : 0);
        const body = new TextDecoder().decode(concatenated(parts));
        const seen: Seen = { server: this.name, method: request.method ?? "", path, headers, body };
        response.writeHead(
          word === "status" || (word === "first" && count === 1) ? Number(number) : 200,
          [
            ["content-type", "application/json"],
            ["x-app", this.name],
            ["x-many", "1"],
            ["x-many", "2"],
            ["x-removed", "by rules"],
          ].flat(),
        );
        response.end(JSON.stringify(seen));
      });
    });
  }

  listen(): Promise<number> {
    return new Promise((resolve) => {
      this.#server.listen(0, "127.0.0.1", () => resolve((this.#server.address() as AddressInfo).port));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function concatenated(parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** All of them, and a TCP server that names itself and sends back what it gets. */
export class Servers implements AsyncDisposable {
  readonly ports: Record<ServerName | "tcp" | "nobody", number>;

  private constructor(
    readonly servers: EchoServer[],
    ports: number[],
    readonly tcp: Deno.TcpListener,
  ) {
    const nobody = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const [a, b, c] = ports;
    this.ports = { a, b, c, tcp: tcp.addr.port, nobody: (nobody.addr as Deno.NetAddr).port };
    nobody.close();
    void this.#serveTcp();
  }

  static async start(): Promise<Servers> {
    const servers = serverNames.map((name) => new EchoServer(name));
    const ports = await Promise.all(servers.map((server) => server.listen()));
    return new Servers(servers, ports, Deno.listen({ hostname: "127.0.0.1", port: 0 }) as Deno.TcpListener);
  }

  async #serveTcp(): Promise<void> {
    for await (const connection of this.tcp) {
      void (async () => {
        await connection.write(new TextEncoder().encode("tcp:"));
        await connection.readable.pipeTo(connection.writable);
      })().catch(() => {});
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.tcp.close();
    await Promise.all(this.servers.map((server) => server[Symbol.asyncDispose]()));
  }
}
