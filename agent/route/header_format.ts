/**
 * Values of added headers that tell of the request: Envoy's command operators
 * (https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers#custom-request-response-headers).
 */
import type { HeaderFormatPart } from "../config/model.ts";
import { ascii, latin1 } from "../decode/characters.ts";
import type { RequestHead, ResponseHead } from "../decode/head.ts";
import type { Exchange } from "../exchange.ts";
import { flagText } from "../respond/outcome.ts";

/** What is known when a header is written. */
export interface FormatContext {
  exchange: Exchange;
  /** A header of the request, or a part of its first line; empty where there is none. */
  request: (name: string) => string;
  /** `null` while the request is written, and for a reply of the proxy's own. */
  response: ResponseHead | null;
}

type Operator = (context: FormatContext) => string;

const peerOf = ({ exchange }: FormatContext) => exchange.downstream!.link.peer;
const listenerOf = ({ exchange }: FormatContext) => exchange.downstream!.link.chain.listener;
const withoutPort = (address: string) => address.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
const port = (address: string) => /:(\d+)$/.exec(address)?.[1] ?? "";

/** Operators without an argument. */
const operators: Readonly<Record<string, Operator>> = {
  DOWNSTREAM_REMOTE_ADDRESS: (context) => peerOf(context).remoteAddress,
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: (context) => withoutPort(peerOf(context).remoteAddress),
  DOWNSTREAM_REMOTE_PORT: (context) => port(peerOf(context).remoteAddress),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: (context) => peerOf(context).remoteAddress,
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: (context) => withoutPort(peerOf(context).remoteAddress),
  DOWNSTREAM_LOCAL_ADDRESS: (context) => `${listenerOf(context).address}:${listenerOf(context).port}`,
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: (context) => listenerOf(context).address,
  DOWNSTREAM_LOCAL_PORT: (context) => String(listenerOf(context).port),
  DOWNSTREAM_PEER_URI_SAN: (context) => peerOf(context).principal,
  DOWNSTREAM_TLS_VERSION: (context) => peerOf(context).tlsVersion,
  REQUESTED_SERVER_NAME: (context) => peerOf(context).serverName,
  HOSTNAME: () => Deno.hostname(),
  PROTOCOL: ({ exchange }) => exchange.downstream!.protocol,
  ROUTE_NAME: ({ exchange }) => exchange.route?.name ?? "",
  START_TIME: ({ exchange }) => new Date(performance.timeOrigin + exchange.startTime).toISOString(),
  UPSTREAM_CLUSTER: ({ exchange }) => exchange.cluster?.config.name ?? "",
  UPSTREAM_HOST: ({ exchange }) => exchange.host?.label ?? "",
  RESPONSE_CODE: ({ exchange, response }) => String(response?.status ?? (exchange.status || "")),
  RESPONSE_FLAGS: ({ exchange }) => flagText(exchange.flags),
};

/** Names of the operators that headers may use, but for `REQ` and `RESP`. */
export const headerOperators: ReadonlySet<string> = new Set(Object.keys(operators));

/** The value, without control characters that would end the header; empty where nothing of it is known. */
export function formatHeader(parts: readonly HeaderFormatPart[], context: FormatContext): string {
  let value = "";
  for (const part of parts) value += typeof part === "string" ? part : formatPart(part, context);
  // deno-lint-ignore no-control-regex -- these bytes would end the header
  return value.replaceAll(/[\x00-\x08\x0a-\x1f\x7f]/g, "");
}

function formatPart({ operator, names, limit }: Exclude<HeaderFormatPart, string>, context: FormatContext): string {
  let value = "";
  if (operator === "REQ") value = firstOf(names, context.request);
  else if (operator === "RESP") value = firstOf(names, (name) => responseHeader(context.response, name));
  else value = operators[operator](context);
  return limit === null ? value : value.slice(0, limit);
}

function firstOf(names: readonly string[], read: (name: string) => string): string {
  for (const name of names) {
    const value = read(name);
    if (value !== "") return value;
  }
  return "";
}

function responseHeader(response: ResponseHead | null, name: string): string {
  if (response === null) return "";
  if (name === ":status") return String(response.status);
  const index = response.fields.find(ascii(name));
  return index < 0 ? "" : response.fields.value(index);
}

/** Reads headers of a request while its head is at hand. */
export function requestReader(head: RequestHead): (name: string) => string {
  return (name) => {
    switch (name) {
      case ":method":
        return head.method;
      case ":path":
        return head.path;
      case ":authority":
        return head.authority;
    }
    const { fields } = head;
    const index = fields.find(ascii(name));
    return index < 0 ? "" : latin1(fields.bytes, fields.valueStart(index), fields.valueEnd(index));
  };
}

/** Keeps these headers of a request for when its head is gone. */
export function keptReader(head: RequestHead, names: Iterable<string>): (name: string) => string {
  const read = requestReader(head);
  const kept = new Map([...names].map((name) => [name, read(name)]));
  return (name) => kept.get(name) ?? "";
}
