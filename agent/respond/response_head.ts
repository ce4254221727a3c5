/** Writes response heads to an HTTP/1.1 caller: an upstream's, or the proxy's own reply. */
import { ascii } from "../decode/characters.ts";
import { dropHopByHop } from "../decode/connection_options.ts";
import { BodyKind } from "../decode/framing.ts";
import type { BodyFraming } from "../downstream_stream.ts";
import { appendContentLength, lineEnd, writeKept } from "../decode/field_lines.ts";
import type { ResponseHead } from "../decode/head.ts";
import { Known } from "../decode/known_headers.ts";
import type { CompiledMutation } from "../route/header_mutation.ts";
import type { ByteQueue } from "../worker/buffers.ts";
import { statusLine } from "./status_lines.ts";

const chunked = ascii("transfer-encoding: chunked\r\n");
const close = ascii("connection: close\r\n");
const keepAlive = ascii("connection: keep-alive\r\n");
const serviceTime = ascii("x-envoy-upstream-service-time: ");

/** How the caller's connection frames this response and whether it goes on after it. */
export interface ResponseFraming {
  /** `connection: close` is said. */
  close: boolean;
  /** The caller speaks HTTP/1.0: no chunks, and persistence must be said. */
  http10: boolean;
  isHead: boolean;
  /** `server: …\r\n` */
  server: Uint8Array;
}

/** Writes an upstream's response head; returns true where the body must be sent in chunks. */
export function writeResponseHead(
  out: ByteQueue,
  head: ResponseHead,
  body: BodyFraming,
  framing: ResponseFraming,
  upstreamTime: number,
  mutations: readonly CompiledMutation[],
): boolean {
  out.appendAll(statusLine(head.status));
  const bodiless = writeResponseFields(out, head, body, framing, upstreamTime, mutations);
  let inChunks = false;
  if (body.kind !== BodyKind.none && body.kind !== BodyKind.length && !bodiless && !framing.http10) {
    inChunks = true;
    out.appendAll(chunked);
  } else if (body.kind === BodyKind.none && !bodiless) {
    out.appendText("content-length: 0\r\n");
  }
  writeConnection(out, framing);
  out.appendAll(lineEnd);
  return inChunks;
}

/**
 * Writes the fields of an upstream's response that are the same for every protocol, as `name: value` lines; returns
 * whether such a response has no body whatever its fields say.
 */
export function writeResponseFields(
  out: ByteQueue,
  head: ResponseHead,
  body: BodyFraming,
  framing: ResponseFraming,
  upstreamTime: number,
  mutations: readonly CompiledMutation[],
): boolean {
  const { fields, status } = head;
  dropHopByHop(fields);
  fields.drop(Known.server);
  fields.drop(Known.upstreamServiceTime);
  for (let i = 0; i < mutations.length; i++) mutations[i].drop(fields);
  writeKept(out, fields);
  for (let i = 0; i < mutations.length; i++) mutations[i].append(fields, out);
  out.appendAll(serviceTime);
  out.appendDecimal(Math.round(upstreamTime));
  out.appendAll(lineEnd);
  if (!fields.has(Known.date)) out.appendAll(dateLine());
  out.appendAll(framing.server);
  const bodiless = status === 204 || status === 304 || framing.isHead;
  if (body.kind === BodyKind.length || (bodiless && fields.has(Known.contentLength) && status !== 204)) {
    appendContentLength(out, body.length);
  }
  return bodiless;
}

/** Writes a whole reply of the proxy itself. `headers`: further lines, each with its end. */
export function writeLocalReply(
  out: ByteQueue,
  status: number,
  body: Uint8Array,
  headers: string,
  framing: ResponseFraming,
): void {
  out.appendAll(statusLine(status));
  writeLocalReplyFields(out, status, body.length, headers, framing);
  writeConnection(out, framing);
  out.appendAll(lineEnd);
  if (!framing.isHead && status !== 204 && status !== 304) out.appendAll(body);
}

/** Writes the fields of a reply of the proxy itself that are the same for every protocol. */
export function writeLocalReplyFields(
  out: ByteQueue,
  status: number,
  bodyLength: number,
  headers: string,
  framing: ResponseFraming,
): void {
  if (bodyLength > 0 && !/^content-type:/m.test(headers)) out.appendText("content-type: text/plain\r\n");
  out.appendText(headers);
  if (status >= 200 && status !== 204 && status !== 304) appendContentLength(out, bodyLength);
  out.appendAll(dateLine());
  out.appendAll(framing.server);
}

function writeConnection(out: ByteQueue, framing: ResponseFraming): void {
  if (framing.close) out.appendAll(close);
  else if (framing.http10) out.appendAll(keepAlive);
}

let dateSecond = 0;
let dateBytes: Uint8Array = new Uint8Array(0);

/** `date: …\r\n` of the current second (RFC 9110 §6.6.1). */
function dateLine(): Uint8Array {
  const second = Math.floor(Date.now() / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateBytes = ascii(`date: ${new Date(second * 1000).toUTCString()}\r\n`);
  }
  return dateBytes;
}
