/** nginx: the application behind every proxy, and one of the proxies. One worker each. */
import { join } from "node:path";
import { backName } from "./certificates.ts";
import { type Program, startProgram } from "./processes.ts";
import type { Contestant, Setting } from "./scenario.ts";

/** Bytes of the application's answer. */
export const bodyLength = 1024;
const unlimited = "keepalive_requests 1000000000;";

export const nginx: Contestant = {
  name: "nginx",
  start: async (setting) => {
    const { front, between, application } = setting.ports;
    const { certificates } = setting;
    const serverTls = (own: { certificate: string; key: string }) =>
      `ssl_certificate ${own.certificate}; ssl_certificate_key ${own.key}; ssl_protocols TLSv1.3;`;
    if (setting.scenario !== "mesh") {
      const tls = setting.scenario === "tls";
      const server = proxy(front, tls ? serverTls(certificates.front) : "", application, "http", "");
      return [await startNginx("nginx", setting.folder, server, front)];
    }
    const clientTls = `proxy_ssl_certificate ${certificates.front.certificate};
      proxy_ssl_certificate_key ${certificates.front.key}; proxy_ssl_trusted_certificate ${certificates.authority};
      proxy_ssl_verify on; proxy_ssl_name ${backName}; proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.3;`;
    const mutual = `${serverTls(certificates.back)}
      ssl_client_certificate ${certificates.authority}; ssl_verify_client on;`;
    return [
      await startNginx("nginx-back", setting.folder, proxy(between, mutual, application, "http", ""), between),
      await startNginx("nginx-front", setting.folder, proxy(front, "", between, "https", clientTls), front),
    ];
  },
};

/** The application: answers every request with {@link bodyLength} bytes. */
export function startApplication(setting: Setting): Promise<Program> {
  const { application } = setting.ports;
  const server = `server { listen 127.0.0.1:${application}; ${unlimited}
    location / { default_type text/plain; return 200 "${"x".repeat(bodyLength)}"; } }`;
  return startNginx("application", setting.folder, server, application);
}

function proxy(port: number, tls: string, upstreamPort: number, scheme: "http" | "https", clientTls: string): string {
  return `upstream next { server 127.0.0.1:${upstreamPort}; keepalive 512; ${unlimited} }
  server { listen 127.0.0.1:${port}${tls === "" ? "" : " ssl"}; ${unlimited} ${tls}
    location / {
      proxy_pass ${scheme}://next; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header Host $host; ${clientTls}
    } }`;
}

async function startNginx(name: string, folder: string, http: string, port: number): Promise<Program> {
  const file = join(folder, `${name}.conf`);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `${kind}_temp_path ${join(folder, `${name}-${kind}`)};`).join(" ");
  await Deno.writeTextFile(
    file,
    `${Deno.uid() === 0 ? "user root;" : ""} worker_processes 1; daemon off;
pid ${join(folder, `${name}.pid`)}; error_log stderr warn;
events { worker_connections 4096; }
http { access_log off; ${temporary}
  ${http}
}
`,
  );
  return startProgram(name, "nginx", ["-e", "stderr", "-p", folder, "-c", file], port);
}
