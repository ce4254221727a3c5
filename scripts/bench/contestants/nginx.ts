/** nginx: the application behind every proxy, and one of the proxies. One worker each. */
import { join } from "node:path";
import { backName, type Certificate } from "../certificates.ts";
import { type Program, startProgram } from "../processes.ts";
import type { Contestant, Setting } from "../scenario.ts";

/** Bytes of the application's answer. */
export const bodyLength = 1024;
/** Bytes of the application's large answer, at {@link largePath}. */
export const largeLength = 64 * 1024 * 1024;
export const largePath = "/large";
/** An empty gRPC message: not compressed, no bytes. */
export const emptyMessage = new Uint8Array(5);
const unlimited = "keepalive_requests 1000000000;";
/** Debian's package libnginx-mod-stream. */
const streamModule = "/usr/lib/nginx/modules/ngx_stream_module.so";

export const nginx: Contestant = {
  name: "nginx",
  unable: (setting) =>
    setting.protocol === "tcp" && !exists(streamModule)
      ? `there is no ${streamModule} (apt-get install libnginx-mod-stream)`
      : null,
  start: async (setting) => {
    const { front, between, application } = setting.ports;
    const { certificates, callers } = setting;
    if (setting.protocol === "tcp") {
      const stream = `upstream next { server 127.0.0.1:${application}; }
        server { listen 127.0.0.1:${front}; proxy_pass next; proxy_buffer_size 64k; }`;
      return [await startNginx("nginx", setting, { stream }, front)];
    }
    const verify = `ssl_client_certificate ${certificates.authority}; ssl_verify_client on;`;
    if (setting.proxies === 1) {
      const tls = callers === "plaintext" ? "" : serverTls(certificates.front) + (callers === "mutual" ? verify : "");
      const http = proxy(setting, front, tls, application, "");
      return [await startNginx("nginx", setting, { http }, front)];
    }
    const clientTls = `proxy_ssl_certificate ${certificates.front.certificate};
      proxy_ssl_certificate_key ${certificates.front.key}; proxy_ssl_trusted_certificate ${certificates.authority};
      proxy_ssl_verify on; proxy_ssl_name ${backName}; proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.3;`;
    const mutual = serverTls(certificates.back) + verify;
    return [
      await startNginx("nginx-back", setting, { http: proxy(setting, between, mutual, application, "") }, between),
      await startNginx("nginx-front", setting, { http: proxy(setting, front, "", between, clientTls) }, front),
    ];
  },
};

function serverTls(own: Certificate): string {
  return `ssl_certificate ${own.certificate}; ssl_certificate_key ${own.key}; ssl_protocols TLSv1.3;`;
}

/**
 * The application: answers every request with {@link bodyLength} bytes, and {@link largePath} with many; of gRPC, every
 * call with {@link emptyMessage} and status 0.
 */
export async function startApplication(setting: Setting): Promise<Program> {
  const { ports: { application }, folder, protocol } = setting;
  if (protocol === "tcp") await fileOf(join(folder, "large"), largeLength);
  if (protocol === "grpc") await Deno.writeFile(join(folder, "message"), emptyMessage);
  const answer = protocol === "grpc"
    // nginx takes no POST for a file: the refusal is answered with the file.
    ? `root ${folder}; error_page 405 =200 /message; location / { return 405; }
       location = /message { internal; default_type application/grpc; add_trailer grpc-status 0; }`
    : `location / { default_type text/plain; return 200 "${"x".repeat(bodyLength)}"; }
       location = ${largePath} { root ${folder}; sendfile on; sendfile_max_chunk 0; }`;
  const http = `server { listen 127.0.0.1:${application}${protocol === "grpc" ? " http2" : ""}; ${unlimited}
    ${answer} }`;
  return startNginx("application", setting, { http }, application);
}

async function fileOf(path: string, length: number): Promise<void> {
  await using file = await Deno.open(path, { write: true, create: true });
  await file.truncate(length);
}

function proxy(setting: Setting, port: number, tls: string, upstreamPort: number, clientTls: string): string {
  const grpc = setting.protocol === "grpc";
  const listen = (tls === "" ? "" : " ssl") + (grpc || setting.callers !== "plaintext" ? " http2" : "");
  const pass = grpc
    ? "grpc_pass grpc://next;"
    : `proxy_pass ${clientTls === "" ? "http" : "https"}://next; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header Host $host; ${clientTls}`;
  return `upstream next { server 127.0.0.1:${upstreamPort}; keepalive 1024; ${unlimited} }
  server { listen 127.0.0.1:${port}${listen}; ${unlimited} ${tls}
    location / { ${pass} } }`;
}

async function startNginx(
  name: string,
  setting: Setting,
  configuration: { http: string } | { stream: string },
  port: number,
): Promise<Program> {
  const { folder } = setting;
  const file = join(folder, `${name}.conf`);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `${kind}_temp_path ${join(folder, `${name}-${kind}`)};`).join(" ");
  const stream = "stream" in configuration;
  await Deno.writeTextFile(
    file,
    `${stream ? `load_module ${streamModule};` : ""}
${Deno.uid() === 0 ? "user root;" : ""} worker_processes ${setting.threads ?? 1}; daemon off;
pid ${join(folder, `${name}.pid`)}; error_log stderr warn;
events { worker_connections 16384; }
${stream ? `stream { ${configuration.stream} }` : `http { access_log off; ${temporary}\n  ${configuration.http}\n}`}
`,
  );
  return startProgram(name, "nginx", ["-e", "stderr", "-p", folder, "-c", file], port);
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
