/**
 * skiff's data plane as a proxy under test: routing, metrics, identity and policy checks on, access log
 * off.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type {
  ClusterConfig,
  DownstreamTlsConfig,
  EndpointsConfig,
  HeaderMutation,
  ListenerConfig,
  RouteConfig,
  SecretConfig,
  UpstreamTlsConfig,
  WorkloadLabels,
} from "../../../agent/config/model.ts";
import type { RbacConfig } from "../../../routing/authorize/condition.ts";
import type { ControlChange } from "../../../agent/supervisor/thread_state.ts";
import { v8Flags } from "../../v8_flags.ts";
import { backName, type Certificate, principal } from "../certificates.ts";
import { type Program, startProgram } from "../processes.ts";
import type { Contestant, Setting } from "../scenario.ts";

/** One proxy of a scenario. */
interface Role {
  name: "front" | "back";
  direction: ListenerConfig["direction"];
  port: number;
  downstream: DownstreamTlsConfig | null;
  upstreamPort: number;
  upstream: UpstreamTlsConfig | null;
}

const alpn = ["h2", "http/1.1"];

export const skiff: Contestant = {
  name: "skiff",
  start: async (setting) => {
    const { ports, callers } = setting;
    if (setting.proxies === 1) {
      const downstream: DownstreamTlsConfig | null = callers === "plaintext" ? null : {
        certificate: "default",
        trustBundle: callers === "mutual" ? "ROOTCA" : "",
        requireClientCertificate: callers === "mutual",
        alpn,
        minimumVersion: "1.3",
      };
      const role = { name: "front", direction: "outbound", port: ports.front, downstream } as const;
      return [await startAgent(setting, [{ ...role, upstreamPort: ports.application, upstream: null }])];
    }
    const back: Role = {
      name: "back",
      direction: "inbound",
      port: ports.between,
      downstream: {
        certificate: "default",
        trustBundle: "ROOTCA",
        requireClientCertificate: true,
        alpn,
        minimumVersion: "1.3",
      },
      upstreamPort: ports.application,
      upstream: null,
    };
    const front: Role = {
      name: "front",
      direction: "outbound",
      port: ports.front,
      downstream: null,
      upstreamPort: ports.between,
      upstream: {
        certificate: "default",
        trustBundle: "ROOTCA",
        sni: backName,
        subjectAltNames: [principal("back")],
        alpn,
      },
    };
    if (setting.oneAgent) return [await startAgent(setting, [back, front])];
    return [await startAgent(setting, [back]), await startAgent(setting, [front])];
  },
};

/** One process with these roles; it is ready when the last of them listens. */
async function startAgent(setting: Setting, roles: Role[]): Promise<Program> {
  const name = `skiff-${roles.map((role) => role.name).join("-")}`;
  const file = join(setting.folder, `${name}.json`);
  const changes: ControlChange[] = [];
  for (const role of roles) changes.push(...await changesFor(setting, role));
  await Deno.writeTextFile(file, JSON.stringify(changes));
  const program = fileURLToPath(new URL("skiff_proxy.ts", import.meta.url));
  const args = ["run", "-A", v8Flags, "--no-check", program, file, String(setting.threads ?? 1)];
  return startProgram(name, Deno.execPath(), args, roles[roles.length - 1].port);
}

async function changesFor(setting: Setting, role: Role): Promise<ControlChange[]> {
  return [
    { kind: "proxy", description: { proxy: role.name, principal: principal(role.name), workload: labels(role.name) } },
    ...await secrets(role.name, setting.certificates[role.name], setting.certificates.authority),
    {
      kind: "resources",
      proxy: role.name,
      clusters: [cluster(setting, role)],
      removedClusters: [],
      endpoints: [endpoints(role)],
      routes: [routes],
      removedRoutes: [],
      listeners: [listener(setting, role)],
      removedListeners: [],
    },
  ];
}

async function secrets(proxy: string, own: Certificate, authority: string): Promise<ControlChange[]> {
  const certificate: SecretConfig = {
    name: "default",
    certificateChain: await Deno.readTextFile(own.certificate),
    privateKey: await Deno.readTextFile(own.key),
    trustBundle: "",
  };
  const trust: SecretConfig = {
    name: "ROOTCA",
    certificateChain: "",
    privateKey: "",
    trustBundle: await Deno.readTextFile(authority),
  };
  return [certificate, trust].map((secret) => ({ kind: "secret", proxy, secret }));
}

function labels(name: string): WorkloadLabels {
  return {
    workload: name,
    namespace: "default",
    app: name,
    version: "v1",
    canonicalService: name,
    canonicalRevision: "v1",
    cluster: "bench",
  };
}

const clusterName = "outbound|80||next.default.svc.cluster.local";
const unchanged: HeaderMutation = { set: [], remove: [] };

/** What a mesh's policy asks of the caller: here that it is the front proxy. */
const policy: RbacConfig = {
  rules: {
    action: "ALLOW",
    policies: [{
      name: "front",
      condition: { kind: "principal", match: { kind: "exact", value: principal("front"), ignoreCase: false } },
    }],
  },
  shadow: null,
};

function listener(setting: Setting, role: Role): ListenerConfig {
  const tcp = setting.protocol === "tcp";
  return {
    name: "bench",
    address: "127.0.0.1",
    port: role.port,
    direction: role.direction,
    accessLog: [],
    filterChains: [{
      name: "bench",
      serverNames: role.upstream === null && role.direction === "inbound" ? [backName] : [],
      transportProtocol: role.downstream === null ? "raw_buffer" : "tls",
      applicationProtocols: [],
      tls: role.downstream,
      ...(role.direction === "inbound" ? { authorization: [policy] } : {}),
      http: tcp ? null : {
        statPrefix: "bench",
        routeConfigName: "bench",
        serverName: "skiff",
        streamIdleTimeout: 300_000,
        requestHeadersTimeout: 60_000,
        idleTimeout: 3_600_000,
        maxRequestHeadersBytes: 60 * 1024,
        useRemoteAddress: false,
        generateRequestId: true,
        forwardClientCertDetails: role.direction === "inbound" ? "APPEND_FORWARD" : "SANITIZE",
        httpFilters: ["fault", "router"],
        upgradeTypes: [],
      },
      tcp: tcp
        ? {
          statPrefix: "bench",
          clusters: [{ name: clusterName, weight: 1 }],
          idleTimeout: 3_600_000,
          maxConnectAttempts: 1,
        }
        : null,
    }],
  };
}

const routes: RouteConfig = {
  name: "bench",
  virtualHosts: [{
    name: "next",
    domains: ["*"],
    routes: [{
      name: "default",
      match: {
        path: { kind: "prefix", value: "/", ignoreCase: false },
        headers: [],
        queryParameters: [],
        fraction: null,
      },
      action: {
        kind: "route",
        clusters: [{ name: clusterName, weight: 1, requestHeaders: unchanged, responseHeaders: unchanged }],
        timeout: 15_000,
        idleTimeout: null,
        retry: null,
        prefixRewrite: "",
        regexRewrite: null,
        hostRewrite: "",
      },
      requestHeaders: unchanged,
      responseHeaders: unchanged,
      fault: null,
    }],
  }],
};

function cluster(setting: Setting, role: Role): ClusterConfig {
  return {
    name: clusterName,
    type: "static",
    lbPolicy: "LEAST_REQUEST",
    connectTimeout: 10_000,
    transportSocketMatches: [],
    tls: role.upstream,
    circuitBreakers: { maxConnections: 4096, maxPendingRequests: 4096, maxRequests: 4096, maxRetries: 3 },
    ...(setting.protocol === "grpc" ? { http2: { maxConcurrentStreams: 100 } } : {}),
    maxRequestsPerConnection: 0,
    idleTimeout: 3_600_000,
    tcpKeepalive: null,
    outlierDetection: null,
    service: { host: "next.default.svc.cluster.local", name: "next", namespace: "default" },
    slot: 0,
  };
}

function endpoints(role: Role): EndpointsConfig {
  return {
    cluster: clusterName,
    panicThreshold: 50,
    localities: [{
      priority: 0,
      locality: "",
      weight: 1,
      endpoints: [{
        address: "127.0.0.1",
        port: role.upstreamPort,
        weight: 1,
        healthy: true,
        transportSocketMatch: {},
        workload: labels("next"),
        slot: 0,
      }],
    }],
  };
}
