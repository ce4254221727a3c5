/**
 * Access log lines by Envoy's format strings
 * (https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage).
 */
import type { AccessLogConfig } from "../config/access_log_config.ts";
import { ascii } from "../decode/characters.ts";
import type { Fields, RequestHead } from "../decode/head.ts";
import { flagText } from "../respond/outcome.ts";
import { AccessLogFilter, headersOf } from "./access_log_filter.ts";

/** What a line can tell of one request; filled while the request runs. */
export interface AccessLogEntry {
  /** Milliseconds since the epoch. */
  startTime: number;
  /** Milliseconds. */
  duration: number;
  method: string;
  path: string;
  authority: string;
  protocol: string;
  requestHeaders: Map<string, string>;
  responseHeaders: Map<string, string>;
  responseCode: number;
  flags: number;
  /** Envoy's response code details and connection termination details, as far as they are told; empty: not. */
  details: string;
  terminationDetails: string;
  bytesReceived: number;
  bytesSent: number;
  upstreamHost: string;
  upstreamCluster: string;
  upstreamFailure: string;
  downstreamLocal: string;
  downstreamRemote: string;
  requestedServerName: string;
  routeName: string;
  /** The other end's identity on the downstream and the upstream connection; empty: none. */
  downstreamPeer: string;
  upstreamPeer: string;
  downstreamTlsVersion: string;
}

/** Envoy's default format string. */
export const defaultFormat =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ' +
  "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% " +
  '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n';

type Part = (entry: AccessLogEntry) => string;

const operators: Record<string, Part> = {
  START_TIME: (entry) => new Date(entry.startTime).toISOString(),
  PROTOCOL: (entry) => entry.protocol,
  RESPONSE_CODE: (entry) => String(entry.responseCode),
  RESPONSE_FLAGS: (entry) => flagText(entry.flags),
  RESPONSE_CODE_DETAILS: (entry) =>
    entry.details !== "" ? entry.details : entry.flags === 0 && entry.responseCode !== 0 ? "via_upstream" : "-",
  CONNECTION_TERMINATION_DETAILS: (entry) => entry.terminationDetails,
  UPSTREAM_TRANSPORT_FAILURE_REASON: (entry) => entry.upstreamFailure,
  BYTES_RECEIVED: (entry) => String(entry.bytesReceived),
  BYTES_SENT: (entry) => String(entry.bytesSent),
  DURATION: (entry) => String(Math.round(entry.duration)),
  UPSTREAM_HOST: (entry) => entry.upstreamHost,
  UPSTREAM_CLUSTER: (entry) => entry.upstreamCluster,
  UPSTREAM_CLUSTER_RAW: (entry) => entry.upstreamCluster,
  UPSTREAM_LOCAL_ADDRESS: () => "-",
  DOWNSTREAM_LOCAL_ADDRESS: (entry) => entry.downstreamLocal,
  DOWNSTREAM_REMOTE_ADDRESS: (entry) => entry.downstreamRemote,
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: (entry) => entry.downstreamRemote.replace(/:\d+$/, ""),
  DOWNSTREAM_PEER_URI_SAN: (entry) => entry.downstreamPeer,
  DOWNSTREAM_TLS_VERSION: (entry) => entry.downstreamTlsVersion,
  UPSTREAM_PEER_URI_SAN: (entry) => entry.upstreamPeer,
  REQUESTED_SERVER_NAME: (entry) => entry.requestedServerName,
  ROUTE_NAME: (entry) => entry.routeName,
};

export class AccessLogFormat {
  /** Names of the headers (lower case) that lines need. */
  readonly requestHeaders = new Set<string>();
  readonly responseHeaders = new Set<string>();
  readonly #render: Part;
  readonly #filter: AccessLogFilter | null;

  constructor(config: AccessLogConfig) {
    for (const { of, name } of config.filter === undefined ? [] : headersOf(config.filter)) {
      if (!name.startsWith(":")) (of === "request" ? this.requestHeaders : this.responseHeaders).add(name);
    }
    this.#filter = config.filter === undefined ? null : new AccessLogFilter(config.filter);
    if (config.json !== null) {
      const fields = Object.entries(config.json).map(([key, format]) => ({ key, parts: this.#compile(format) }));
      this.#render = (entry) =>
        JSON.stringify(Object.fromEntries(fields.flatMap(({ key, parts }): [string, string | null][] => {
          const text = parts.map((part) => part(entry)).join("");
          return text !== "-" ? [[key, text]] : config.omitEmptyValues ? [] : [[key, null]];
        }))) + "\n";
    } else {
      const parts = this.#compile(config.format === null || config.format === "" ? defaultFormat : config.format);
      this.#render = config.omitEmptyValues
        ? (entry) => parts.map((part) => part(entry)).map((text) => text === "-" ? "" : text).join("")
        : (entry) => parts.map((part) => part(entry)).join("");
    }
  }

  /** The line, or nothing where the log does not tell of the entry. */
  line(entry: AccessLogEntry): string {
    return this.#filter === null || this.#filter.passes(entry) ? this.#render(entry) : "";
  }

  #compile(format: string): Part[] {
    const parts: Part[] = [];
    for (const piece of format.split(/(%[A-Z_]+(?:\([^)]*\))?(?::\d+)?%)/)) {
      const match = /^%([A-Z_]+)(?:\(([^)]*)\))?(?::(\d+))?%$/.exec(piece);
      if (match === null) {
        if (piece !== "") parts.push(() => piece);
        continue;
      }
      const [, name, argument, limit] = match;
      const part = name === "REQ" || name === "RESP" ? this.#header(name, argument ?? "") : operators[name];
      const size = limit === undefined ? maximumValue : Number(limit);
      parts.push(part === undefined ? () => "-" : (entry) => printable(part(entry), size));
    }
    return parts;
  }

  /** `REQ(A?B)`: header A, or B where there is no A; names that start with a colon are parts of the request line. */
  #header(operator: "REQ" | "RESP", argument: string): Part {
    const names = argument.toLowerCase().split("?");
    const needed = operator === "REQ" ? this.requestHeaders : this.responseHeaders;
    for (const name of names) if (!name.startsWith(":")) needed.add(name);
    return (entry) => {
      for (const name of names) {
        const value = name === ":method"
          ? entry.method
          : name === ":path"
          ? entry.path
          : name === ":authority"
          ? entry.authority
          : (operator === "REQ" ? entry.requestHeaders : entry.responseHeaders).get(name);
        if (value !== undefined && value !== "") return value;
      }
      return "-";
    };
  }
}

const maximumValue = 4096;

/** A value that cannot end its field or line: `-` when empty, escaped and cut where need be. */
function printable(value: string, limit: number): string {
  if (value === "") return "-";
  return value.slice(0, limit).replaceAll(
    /[^\x20-\x21\x23-\x5b\x5d-\x7e]/g,
    (c) => "\\x" + c.charCodeAt(0).toString(16).padStart(2, "0"),
  );
}

/** Starts an entry with what the request head says. */
export function newEntry(
  formats: readonly AccessLogFormat[],
  head: RequestHead,
  protocol: string,
  startTime: number,
): AccessLogEntry {
  const entry = newConnectionEntry(startTime);
  for (const format of formats) collect(format.requestHeaders, head.fields, entry.requestHeaders);
  entry.method = head.method;
  entry.path = head.path;
  entry.authority = head.authority;
  entry.protocol = protocol;
  return entry;
}

/** Starts an entry for a connection that carries no requests. */
export function newConnectionEntry(startTime: number): AccessLogEntry {
  return {
    startTime,
    duration: 0,
    method: "",
    path: "",
    authority: "",
    protocol: "",
    requestHeaders: new Map(),
    responseHeaders: new Map(),
    responseCode: 0,
    flags: 0,
    details: "",
    terminationDetails: "",
    bytesReceived: 0,
    bytesSent: 0,
    upstreamHost: "",
    upstreamCluster: "",
    upstreamFailure: "",
    downstreamLocal: "",
    downstreamRemote: "",
    requestedServerName: "",
    routeName: "",
    downstreamPeer: "",
    upstreamPeer: "",
    downstreamTlsVersion: "",
  };
}

/** Takes the named headers that are there. */
export function collect(names: Iterable<string>, fields: Fields, into: Map<string, string>): void {
  for (const name of names) {
    const index = fields.find(ascii(name));
    if (index >= 0) into.set(name, fields.value(index));
  }
}
