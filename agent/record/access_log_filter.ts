/** Which requests and connections an access log tells of: Envoy's CEL filter. */
import { type Facts, holds } from "../../routing/expression/evaluate.ts";
import type { Attribute, Expression, Operand } from "../../routing/expression/parse.ts";
import type { AccessLogEntry } from "./access_log.ts";

const attributes: Record<Attribute, (entry: AccessLogEntry) => string | number | boolean> = {
  "request.method": (entry) => entry.method,
  "request.path": (entry) => entry.path,
  "request.url_path": (entry) => entry.path.split("?", 1)[0],
  "request.host": (entry) => entry.authority,
  "request.protocol": (entry) => entry.protocol,
  "request.useragent": (entry) => entry.requestHeaders.get("user-agent") ?? "",
  "request.id": (entry) => entry.requestHeaders.get("x-request-id") ?? "",
  "request.duration": (entry) => entry.duration,
  "request.size": (entry) => entry.bytesReceived,
  "response.code": (entry) => entry.responseCode,
  "response.code_details": (entry) => entry.details,
  "response.flags": (entry) => entry.flags,
  "response.size": (entry) => entry.bytesSent,
  "connection.mtls": (entry) => entry.downstreamPeer !== "",
  "connection.requested_server_name": (entry) => entry.requestedServerName,
  "connection.tls_version": (entry) => entry.downstreamTlsVersion,
  "connection.uri_san_peer_certificate": (entry) => entry.downstreamPeer,
  "upstream.address": (entry) => entry.upstreamHost,
  "xds.cluster_name": (entry) => entry.upstreamCluster,
  "xds.route_name": (entry) => entry.routeName,
};

export class AccessLogFilter implements Facts {
  #entry!: AccessLogEntry;

  constructor(private readonly expression: Expression) {}

  /** Whether the log tells of what the entry is about. */
  passes(entry: AccessLogEntry): boolean {
    this.#entry = entry;
    return holds(this.expression, this);
  }

  /** What is empty is not there, and so is the code of what had no response: a TCP connection, or a caller that left. */
  attribute(name: Attribute): string | number | boolean | undefined {
    const value = attributes[name](this.#entry);
    return value === "" || (name === "response.code" && value === 0) ? undefined : value;
  }

  header(of: "request" | "response", name: string): string | undefined {
    if (of === "response") return this.#entry.responseHeaders.get(name);
    if (name === ":method") return this.#entry.method;
    if (name === ":path") return this.#entry.path;
    return name === ":authority" ? this.#entry.authority : this.#entry.requestHeaders.get(name);
  }
}

/** Names of the headers that the expression needs, each with whose they are. */
export function* headersOf(expression: Expression): Iterable<{ of: "request" | "response"; name: string }> {
  switch (expression.kind) {
    case "all":
    case "any":
      for (const part of expression.of) yield* headersOf(part);
      return;
    case "not":
      yield* headersOf(expression.of);
      return;
    case "present":
      yield expression.header;
      return;
    case "compare":
      yield* headersIn(expression.left);
      yield* headersIn(expression.right);
      return;
    default:
      yield* headersIn(expression.of);
  }
}

function* headersIn(operand: Operand): Iterable<{ of: "request" | "response"; name: string }> {
  if (operand.kind === "header") yield operand;
  else if (operand.kind === "attribute" && operand.name === "request.useragent") {
    yield { of: "request", name: "user-agent" };
  } else if (operand.kind === "attribute" && operand.name === "request.id") {
    yield { of: "request", name: "x-request-id" };
  }
}
