/**
 * Writes the head of a request as it goes to the upstream host: rewritten target and authority, end-to-end headers,
 * changes of the route, and what the proxy adds. Framing is left to the connection that sends it.
 */
import { ascii, latin1 } from "../decode/characters.ts";
import { dropHopByHop } from "../decode/connection_options.ts";
import { lineEnd, writeKept } from "../decode/field_lines.ts";
import type { RequestHead } from "../decode/head.ts";
import { Known } from "../decode/known_headers.ts";
import type { Exchange } from "../exchange.ts";
import { forwardedClientCert } from "../identify/forwarded_client_cert.ts";
import type { CompiledMutation } from "../route/header_mutation.ts";
import type { ForwardAction, Route } from "../route/route_table.ts";
import type { ByteQueue } from "../worker/buffers.ts";
import { appendRequestId } from "./request_id.ts";

const versionAndHost = ascii(" HTTP/1.1\r\nhost: ");
const originalPath = ascii("x-envoy-original-path");
const originalHost = ascii("x-envoy-original-host");
const teTrailers = ascii("te: trailers\r\n");

/** Writes the head of the request that goes by the exchange's route; the changes to its headers are as for this request. */
export function writeRequestHead(
  exchange: Exchange,
  head: RequestHead,
  clusterHeaders: CompiledMutation,
  routeHeaders: CompiledMutation,
): void {
  const out = exchange.head;
  const route = exchange.route!;
  const action = exchange.action!;
  const { link } = exchange.downstream!;
  const { fields } = head;
  const { http, forwardedHeaders } = link.chain;
  const bytes = fields.bytes;
  const acceptsTrailers = fields.known(Known.te) === "trailers";
  dropHopByHop(fields);
  fields.drop(Known.host);
  // The proxy has answered it.
  fields.drop(Known.expect);
  fields.drop(Known.forwardedClientCert);
  if (route.attemptCount.request) fields.drop(Known.attemptCount);
  // Asked now: what Connection nominates is replaced by ours, what a route removes is not.
  forwardedHeaders.judge(fields, link.peerAddress);
  const { internal, respectsExpected } = forwardedHeaders;
  exchange.settings.ofCaller(action, fields, exchange.grpc, internal, respectsExpected);
  fields.drop(Known.expectedTimeout);
  const keepsRequestId = fields.keeps(Known.requestId);
  clusterHeaders.drop(fields);
  routeHeaders.drop(fields);

  out.reserve(head.methodEnd - head.methodStart + head.pathEnd - head.pathStart + 512);
  appendRange(out, bytes, head.methodStart, head.methodEnd);
  out.bytes[out.end++] = 32;
  writePath(out, head, route, action);
  out.appendAll(versionAndHost);
  const authority = clusterHeaders.authority ?? routeHeaders.authority ?? action.hostRewrite;
  if (authority !== null) out.appendAll(authority);
  else appendRange(out, bytes, head.authorityStart, head.authorityEnd);
  out.appendAll(lineEnd);

  const rewritten = action.prefixRewrite !== null || action.regexRewrite !== null;
  if (rewritten) fields.dropNamed(originalPath);
  if (action.hostRewrite !== null) fields.dropNamed(originalHost);
  writeKept(out, fields);
  // gRPC servers insist on it (and Envoy forwards it).
  if (acceptsTrailers) out.appendAll(teTrailers);
  if (rewritten) {
    out.appendAll(originalPath);
    out.appendText(": ");
    appendRange(out, bytes, head.pathStart, head.pathEnd);
    out.appendAll(lineEnd);
  }
  if (action.hostRewrite !== null) {
    out.appendAll(originalHost);
    out.appendText(": ");
    appendRange(out, bytes, head.authorityStart, head.authorityEnd);
    out.appendAll(lineEnd);
  }
  forwardedHeaders.append(fields, out, link.peer.tlsVersion !== "");
  if (http.generateRequestId && !keepsRequestId) appendRequestId(out);
  const clientCert = forwardedClientCert(http.forwardClientCertDetails, link, fields);
  if (clientCert !== null) out.appendAll(clientCert);
  clusterHeaders.append(fields, out);
  routeHeaders.append(fields, out);
}

function writePath(out: ByteQueue, head: RequestHead, route: Route, action: ForwardAction): void {
  const bytes = head.fields.bytes;
  if (action.prefixRewrite !== null) {
    const matched = route.matchedLength < 0 ? head.queryStart - head.pathStart : route.matchedLength;
    out.append(action.prefixRewrite, 0, action.prefixRewrite.length);
    appendRange(out, bytes, head.pathStart + matched, head.pathEnd);
  } else if (action.regexRewrite !== null) {
    const path = latin1(bytes, head.pathStart, head.queryStart);
    const rewritten = action.regexRewrite.pattern.matcher(path).replaceAll(action.regexRewrite.substitution);
    out.appendText(rewritten);
    appendRange(out, bytes, head.queryStart, head.pathEnd);
  } else appendRange(out, bytes, head.pathStart, head.pathEnd);
}

function appendRange(out: ByteQueue, bytes: Uint8Array, start: number, end: number): void {
  out.append(bytes, start, end - start);
}

/** The host, without its port, of a head that {@link writeRequestHead} wrote: its second line. */
export function hostOf(head: ByteQueue): string {
  const { bytes, start, end } = head;
  const line = bytes.indexOf(10, start) + 1 + "host: ".length;
  const lineEnd = bytes.indexOf(13, line);
  const authority = latin1(bytes, line, lineEnd < 0 ? end : lineEnd).toLowerCase();
  if (authority.startsWith("[")) return authority.slice(1, authority.indexOf("]"));
  const colon = authority.lastIndexOf(":");
  return colon < 0 ? authority : authority.slice(0, colon);
}
