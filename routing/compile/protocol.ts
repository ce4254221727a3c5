/** Which protocol a port speaks, and what that means for compilation. */
import type { Protocol } from "../mesh.ts";

const protocols: Readonly<Record<string, Protocol>> = {
  http: "HTTP",
  http2: "HTTP2",
  grpc: "GRPC",
  "grpc-web": "GRPC",
  https: "HTTPS",
  tls: "TLS",
  tcp: "TCP",
  mongo: "MONGO",
  // Their filters are experimental in Istio and off: without them they are TCP.
  mysql: "TCP",
  redis: "TCP",
};

/**
 * The protocol of a port: as declared, else by Istio's convention on names (`http`, `http-metrics`, `grpc-web-ui`).
 *
 * @param declared as users write it, in any case; empty: the name decides
 */
export function portProtocol(name: string, declared: string): Protocol {
  if (declared !== "") return protocols[declared.toLowerCase()] ?? "UNSPECIFIED";
  const lower = name.toLowerCase();
  if (lower === "grpc-web" || lower.startsWith("grpc-web-")) return "GRPC";
  return protocols[lower.split("-", 1)[0]] ?? "UNSPECIFIED";
}

/** Whether HTTP rules apply to the port. An unspecified protocol counts as HTTP: on a proxy port nothing else arrives. */
export function isHttp(protocol: Protocol): boolean {
  return protocol === "HTTP" || protocol === "HTTP2" || protocol === "GRPC" || protocol === "UNSPECIFIED";
}

/** Whether upstream connections speak HTTP/2 from their first byte. */
export function isHttp2(protocol: Protocol): boolean {
  return protocol === "HTTP2" || protocol === "GRPC";
}
