/** (g) TCP pass-through of large transfers: how much a proxy carries in a second of its processor time. */
import { largeLength, largePath } from "../contestants/nginx.ts";
import type { Scenario } from "../scenario.ts";

/** Of {@link largeLength} bytes each, one after the other on one connection. */
const transfers = 16;
const connections = 2;

export const transfer: Scenario = {
  letter: "g",
  title: "TCP pass-through of 2 GiB on 2 connections",
  run: (bench, scenario) =>
    bench.withProxies(
      scenario,
      { protocol: "tcp", callers: "plaintext", proxies: 1 },
      (proxies) =>
        bench.inTurns(scenario, proxies, async (proxy, round) => {
          const [spent, bytes] = await bench.spent(proxy, async () => {
            const all = await Promise.all(Array.from({ length: connections }, () => fetchAll(proxy.port)));
            return all.reduce((sum, each) => sum + each, 0);
          });
          if (bytes < connections * transfers * largeLength) throw new Error(`only ${bytes} bytes came`);
          bench.record(scenario, "MiB/CPU second", "bulk", proxy.name, round, bytes / 2 ** 20 / (spent / 1e9));
        }),
    ),
};

/** Reads the large answer again and again to the connection's end. Returns how many bytes came. */
async function fetchAll(port: number): Promise<number> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const ask = `GET ${largePath} HTTP/1.1\r\nhost: bench\r\n`;
  await connection.write(
    new TextEncoder().encode(`${ask}\r\n`.repeat(transfers - 1) + `${ask}connection: close\r\n\r\n`),
  );
  const buffer = new Uint8Array(1024 * 1024);
  let bytes = 0;
  for (let count = await connection.read(buffer); count !== null; count = await connection.read(buffer)) bytes += count;
  return bytes;
}
