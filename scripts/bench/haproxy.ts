/** HAProxy as a proxy under test: one thread. */
import { join } from "node:path";
import { backName } from "./certificates.ts";
import { type Program, startProgram } from "./processes.ts";
import type { Contestant } from "./scenario.ts";

export const haproxy: Contestant = {
  name: "HAProxy",
  start: async (setting) => {
    const { certificates, folder, ports } = setting;
    if (setting.scenario !== "mesh") {
      const tls = setting.scenario === "tls" ? ` ssl crt ${certificates.front.both} ssl-min-ver TLSv1.3` : "";
      return [await startHaproxy("haproxy", folder, ports.front, tls, ports.application, "")];
    }
    const mutual = ` ssl crt ${certificates.back.both} ca-file ${certificates.authority} verify required` +
      " ssl-min-ver TLSv1.3";
    const client = ` ssl crt ${certificates.front.both} ca-file ${certificates.authority} verify required` +
      ` verifyhost ${backName} sni str(${backName}) ssl-min-ver TLSv1.3`;
    return [
      await startHaproxy("haproxy-back", folder, ports.between, mutual, ports.application, ""),
      await startHaproxy("haproxy-front", folder, ports.front, "", ports.between, client),
    ];
  },
};

async function startHaproxy(
  name: string,
  folder: string,
  port: number,
  bindOptions: string,
  upstreamPort: number,
  serverOptions: string,
): Promise<Program> {
  const file = join(folder, `${name}.cfg`);
  await Deno.writeTextFile(
    file,
    `global
  nbthread 1
  maxconn 4096
defaults
  mode http
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend in
  bind 127.0.0.1:${port}${bindOptions}
  default_backend next
backend next
  server next 127.0.0.1:${upstreamPort} pool-max-conn -1${serverOptions}
`,
  );
  return startProgram(name, "haproxy", ["-q", "-db", "-f", file], port);
}
