/**
 * The servers of all Gateways that select a workload, put together by address and port as istiod's MergeGateways does:
 * the first on a port decides what it is; servers of plain HTTP share it, and so do TLS servers that no server name has
 * in common; any other is left out, with a warning.
 */
import type { Gateway, GatewayServer } from "../../istio/types.ts";
import type { Warn } from "../warning.ts";
import { hostsOf } from "./hosts.ts";

export interface MergedServer {
  /** `NAMESPACE/NAME`. */
  gateway: string;
  namespace: string;
  server: GatewayServer;
  /** Of a server of HTTP whose TLS, if any, ends here: the name of its route configuration; else empty. */
  routeName: string;
}

/** What one listener serves. */
export interface MergedPort {
  /** Empty: the gateway's own address. */
  bind: string;
  number: number;
  kind: "http" | "tcp" | "tls";
  servers: MergedServer[];
}

/** @param gateways those that select the workload, the oldest first */
export function mergeGateways(gateways: readonly Gateway[], warn: Warn): MergedPort[] {
  const ports = new Map<string, MergedPort & { hosts: Set<string> }>();
  for (const { metadata: { namespace, name }, spec } of gateways) {
    spec.servers.forEach((server, index) => {
      const skip = (message: string) =>
        warn({ kind: "Gateway", namespace, name, field: `servers[${index}]`, message: `${message}: it is left out` });
      const { number } = server.port;
      const { bind = "" } = server;
      const kind = kindOf(server);
      if (bind.startsWith("unix:")) return skip("Unix sockets are not served");
      if (server.tls?.mode === "AUTO_PASSTHROUGH") return skip("AUTO_PASSTHROUGH is not served");
      const key = `${bind}:${number}`;
      const known = ports.get(key);
      const port = known ?? { bind, number, kind, servers: [], hosts: new Set() };
      if (known !== undefined && (known.kind !== kind || kind === "tcp")) {
        return skip(`port ${number} is ${known.kind.toUpperCase()} by ${known.servers[0].gateway}`);
      }
      if (kind === "tls") {
        const taken = hostsOf(server).filter((host) => port.hosts.has(host));
        if (taken.length > 0) return skip(`port ${number} has a server for ${taken.join(", ")} already`);
        hostsOf(server).forEach((host) => port.hosts.add(host));
      }
      port.servers.push({
        gateway: `${namespace}/${name}`,
        namespace,
        server,
        routeName: routeName(server, namespace, name),
      });
      ports.set(key, port);
    });
  }
  return [...ports.values()];
}

/** Whether TLS passes through as it is. */
export function isPassthrough({ tls }: GatewayServer): boolean {
  return tls !== undefined && (tls.mode ?? "PASSTHROUGH") === "PASSTHROUGH";
}

/** TLS settings of a server of plain HTTP say no more than that it redirects. */
function kindOf({ port, tls }: GatewayServer): MergedPort["kind"] {
  return isPlainHttp(port.protocol) ? "http" : tls === undefined ? "tcp" : "tls";
}

function isPlainHttp(protocol: string): boolean {
  return ["HTTP", "HTTP2", "GRPC", "GRPC-WEB"].includes(protocol.toUpperCase());
}

/** istiod's names. */
function routeName(server: GatewayServer, namespace: string, name: string): string {
  const { port } = server;
  const bind = server.bind ? `.${server.bind}` : "";
  if (isPlainHttp(port.protocol)) return `http.${port.number}${bind}`;
  const terminated = port.protocol.toUpperCase() === "HTTPS" && !isPassthrough(server);
  return terminated ? `https.${port.number}.${port.name}.${name}.${namespace}${bind}` : "";
}
