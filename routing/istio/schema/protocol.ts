/** Protocols of ports, as Istio reads them. */

/** In any case; what other words mean is nobody's guess. */
const protocols = [
  "HTTP",
  "HTTPS",
  "GRPC",
  "GRPC-WEB",
  "HTTP2",
  "HTTP_PROXY",
  "MONGO",
  "MYSQL",
  "REDIS",
  "TCP",
  "TLS",
  "UDP",
];

/** A text rule: protocol of a port. */
export function protocol(value: string): string | undefined {
  return protocols.includes(value.toUpperCase()) ? undefined : `be one of ${protocols.join(", ")}`;
}
