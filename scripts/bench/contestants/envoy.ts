/**
 * Envoy as a proxy under test: one worker thread, access log off, statistics as they come, limits as its guide to edge
 * use has them. Between two it speaks HTTP/2, which costs it less than pools of HTTP/1.1 connections.
 */
import { join } from "node:path";
import { backName, type Certificate, principal } from "../certificates.ts";
import { type Program, startProgram } from "../processes.ts";
import type { Contestant, Setting } from "../scenario.ts";

interface Role {
  name: "front" | "back";
  port: number;
  upstreamPort: number;
  downstreamTls: unknown;
  upstreamTls: unknown;
  /** The application or the next proxy is spoken to in HTTP/2. */
  upstreamHttp2: boolean;
}

const extension = "type.googleapis.com/envoy.extensions";

/** @param program Path of Envoy's executable. */
export function envoy(program: string): Contestant {
  return {
    name: "Envoy",
    start: async (setting) => {
      const { ports, certificates, callers, protocol } = setting;
      const upstreamHttp2 = protocol === "grpc";
      if (setting.proxies === 1) {
        const downstreamTls = callers === "plaintext"
          ? null
          : serverTls(certificates.front, callers === "mutual" ? certificates.authority : null, ["h2", "http/1.1"]);
        const upstreamPort = ports.application;
        const role = { port: ports.front, upstreamPort, downstreamTls, upstreamTls: null, upstreamHttp2 };
        return [await start(program, setting, { name: "front", ...role })];
      }
      const downstreamTls = serverTls(certificates.back, certificates.authority, ["h2"]);
      const upstreamTls = clientTls(certificates.front, certificates.authority);
      return [
        await start(program, setting, {
          name: "back",
          port: ports.between,
          upstreamPort: ports.application,
          downstreamTls,
          upstreamTls: null,
          upstreamHttp2,
        }),
        await start(program, setting, {
          name: "front",
          port: ports.front,
          upstreamPort: ports.between,
          downstreamTls: null,
          upstreamTls,
          upstreamHttp2: true,
        }),
      ];
    },
  };
}

async function start(program: string, setting: Setting, role: Role): Promise<Program> {
  const file = join(setting.folder, `envoy-${role.name}.json`);
  const bootstrap = { static_resources: { listeners: [listener(setting, role)], clusters: [cluster(role)] } };
  await Deno.writeTextFile(file, JSON.stringify(bootstrap));
  const flags = ["--concurrency", String(setting.threads ?? 1), "--disable-hot-restart", "--log-level", "error"];
  return startProgram(`envoy-${role.name}`, program, ["-c", file, ...flags], role.port);
}

function listener(setting: Setting, role: Role): unknown {
  const filter = setting.protocol === "tcp"
    ? named("envoy.filters.network.tcp_proxy", `${extension}.filters.network.tcp_proxy.v3.TcpProxy`, {
      stat_prefix: "bench",
      cluster: "next",
    })
    : connectionManager(setting.proxies === 2 && role.name === "back");
  return {
    name: "bench",
    address: socketAddress(role.port),
    filter_chains: [{
      filters: [filter],
      ...(role.downstreamTls === null ? {} : { transport_socket: role.downstreamTls }),
    }],
  };
}

function connectionManager(judges: boolean): unknown {
  const allowed = { principals: [{ authenticated: { principal_name: { exact: principal("front") } } }] };
  const rbac = named("envoy.filters.http.rbac", `${extension}.filters.http.rbac.v3.RBAC`, {
    rules: { action: "ALLOW", policies: { front: { permissions: [{ any: true }], ...allowed } } },
  });
  const http2 = {
    max_concurrent_streams: 100,
    initial_stream_window_size: 65_536,
    initial_connection_window_size: 1_048_576,
  };
  return named(
    "envoy.filters.network.http_connection_manager",
    `${extension}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    {
      stat_prefix: "bench",
      codec_type: "AUTO",
      http2_protocol_options: http2,
      forward_client_cert_details: judges ? "APPEND_FORWARD" : "SANITIZE",
      route_config: {
        name: "bench",
        virtual_hosts: [{
          name: "next",
          domains: ["*"],
          routes: [{ match: { prefix: "/" }, route: { cluster: "next", timeout: "15s" } }],
        }],
      },
      http_filters: [
        ...(judges ? [rbac] : []),
        named("envoy.filters.http.router", `${extension}.filters.http.router.v3.Router`, {}),
      ],
    },
  );
}

function cluster(role: Role): unknown {
  const options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
  const http2 = { "@type": `type.googleapis.com/${options}`, explicit_http_config: { http2_protocol_options: {} } };
  const most = { max_connections: 32_768, max_pending_requests: 32_768, max_requests: 32_768 };
  return {
    name: "next",
    type: "STATIC",
    lb_policy: "LEAST_REQUEST",
    connect_timeout: "10s",
    circuit_breakers: { thresholds: [most] },
    ...(role.upstreamHttp2 ? { typed_extension_protocol_options: { [options]: http2 } } : {}),
    ...(role.upstreamTls === null ? {} : { transport_socket: role.upstreamTls }),
    load_assignment: {
      cluster_name: "next",
      endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(role.upstreamPort) } }] }],
    },
  };
}

function serverTls(own: Certificate, authority: string | null, alpn: string[]): unknown {
  return named("envoy.transport_sockets.tls", `${extension}.transport_sockets.tls.v3.DownstreamTlsContext`, {
    require_client_certificate: authority !== null,
    common_tls_context: commonTls(own, authority, alpn),
  });
}

function clientTls(own: Certificate, authority: string): unknown {
  const common = commonTls(own, authority, ["h2"]);
  const match = [{ san_type: "URI", matcher: { exact: principal("back") } }];
  return named("envoy.transport_sockets.tls", `${extension}.transport_sockets.tls.v3.UpstreamTlsContext`, {
    sni: backName,
    common_tls_context: {
      ...common,
      validation_context: { ...common.validation_context, match_typed_subject_alt_names: match },
    },
  });
}

function commonTls(own: Certificate, authority: string | null, alpn: string[]) {
  return {
    alpn_protocols: alpn,
    tls_params: { tls_minimum_protocol_version: "TLSv1_3", tls_maximum_protocol_version: "TLSv1_3" },
    tls_certificates: [{ certificate_chain: { filename: own.certificate }, private_key: { filename: own.key } }],
    ...(authority === null ? {} : { validation_context: { trusted_ca: { filename: authority } } }),
  };
}

function named(name: string, type: string, settings: Record<string, unknown>): unknown {
  return { name, typed_config: { "@type": type, ...settings } };
}

function socketAddress(port: number): unknown {
  return { socket_address: { address: "127.0.0.1", port_value: port } };
}
