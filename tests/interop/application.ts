/** The application on each machine: says what reached it, and fails as it is asked to. */
import { ports } from "./mixed_mesh.ts";

export class Application {
  /** How often each path has been asked for. */
  readonly asked = new Map<string, number>();
  readonly #server: Deno.HttpServer;
  readonly #echo: Deno.Listener;

  constructor(readonly name: string, readonly address: string) {
    this.#server = Deno.serve(
      { hostname: address, port: ports.http, onListen() {} },
      (request) => this.#answer(request),
    );
    this.#echo = Deno.listen({ hostname: address, port: ports.tcp });
    void this.#serveTcp();
  }

  async close(): Promise<void> {
    this.#echo.close();
    await this.#server.shutdown();
  }

  /** `/status/503`; `/first/503/KEY`: that status once, then 200; `/slow/300`: after as many milliseconds. */
  async #answer(request: Request): Promise<Response> {
    const { pathname, search, host } = new URL(request.url);
    const count = (this.asked.get(pathname) ?? 0) + 1;
    this.asked.set(pathname, count);
    const [, word, number] = pathname.split("/");
    if (word === "slow") await new Promise((resolve) => setTimeout(resolve, Number(number)));
    const status = word === "status" || (word === "first" && count === 1) ? Number(number) : 200;
    const body = await request.text();
    const headers = Object.fromEntries([...request.headers].sort());
    return Response.json({ app: this.name, method: request.method, path: pathname + search, host, headers, body }, {
      status,
      headers: { "x-app": this.name, "x-removed": "by rules" },
    });
  }

  /** Names itself, then sends back what it gets. */
  async #serveTcp(): Promise<void> {
    for await (const connection of this.#echo) {
      void (async () => {
        await connection.write(new TextEncoder().encode(`${this.name}\n`));
        await connection.readable.pipeTo(connection.writable);
      })().catch(() => {});
    }
  }
}
