/** HAProxy as a proxy under test: one thread. */
import { join } from "node:path";
import { backName } from "../certificates.ts";
import { type Program, startProgram } from "../processes.ts";
import type { Contestant, Setting } from "../scenario.ts";

export const haproxy: Contestant = {
  name: "HAProxy",
  start: async (setting) => {
    const { certificates, ports, protocol, callers } = setting;
    const verified = `ca-file ${certificates.authority} verify required`;
    const http2 = protocol === "grpc" ? " proto h2" : "";
    if (setting.proxies === 1) {
      const tls = callers === "plaintext"
        ? http2
        : ` ssl crt ${certificates.front.both} ssl-min-ver TLSv1.3 alpn h2,http/1.1` +
          (callers === "mutual" ? ` ${verified}` : "");
      return [await startHaproxy("haproxy", setting, ports.front, tls, ports.application, http2)];
    }
    const mutual = ` ssl crt ${certificates.back.both} ${verified} ssl-min-ver TLSv1.3`;
    const client = ` ssl crt ${certificates.front.both} ${verified}` +
      ` verifyhost ${backName} sni str(${backName}) ssl-min-ver TLSv1.3`;
    return [
      await startHaproxy("haproxy-back", setting, ports.between, mutual, ports.application, http2),
      await startHaproxy("haproxy-front", setting, ports.front, http2, ports.between, client),
    ];
  },
};

async function startHaproxy(
  name: string,
  setting: Setting,
  port: number,
  bindOptions: string,
  upstreamPort: number,
  serverOptions: string,
): Promise<Program> {
  const file = join(setting.folder, `${name}.cfg`);
  const mode = setting.protocol === "tcp" ? "mode tcp\n  option splice-auto" : "mode http\n  http-reuse always";
  await Deno.writeTextFile(
    file,
    `global
  nbthread ${setting.threads ?? 1}
defaults
  ${mode}
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
