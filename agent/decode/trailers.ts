/** The trailer section of a message (RFC 9110 §6.5): what may stand in it, and what of it goes on. */
import { COLON, CR, LF, SPACE } from "./characters.ts";
import { Fields } from "./head.ts";
import { Known } from "./known_headers.ts";

/**
 * Framing, routing and fields of one hop: RFC 9110 §6.5.1 lets nobody send them here, and a recipient that merges
 * trailers into the head would read another message than was judged.
 */
const refused = [
  Known.host,
  Known.contentLength,
  Known.transferEncoding,
  Known.framingLookalike,
  Known.connection,
  Known.keepAlive,
  Known.proxyConnection,
  Known.te,
  Known.trailer,
  Known.upgrade,
  Known.expect,
];

/** What only this proxy says of a request, or says itself: for a recipient that merges it would be forged. */
const ours = [
  Known.requestId,
  Known.forwardedFor,
  Known.forwardedProto,
  Known.forwardedClientCert,
  Known.expectedTimeout,
  Known.attemptCount,
  Known.upstreamServiceTime,
  Known.server,
  Known.date,
];

/** Marks as dropped what is not forwarded; false when the trailers make the message malformed. */
export function admitTrailers(fields: Fields): boolean {
  for (let i = 0; i < refused.length; i++) {
    if (fields.has(refused[i])) return false;
  }
  for (let i = 0; i < ours.length; i++) fields.drop(ours[i]);
  return true;
}

/** A copy, in memory of its own, of the trailers that go on: for an attempt that is yet to be made. */
export function keepTrailers(fields: Fields): Fields {
  let size = 0;
  for (let i = 0; i < fields.count; i++) {
    size += fields.nameEnd(i) - fields.nameStart(i) + fields.valueEnd(i) - fields.valueStart(i) + 4;
  }
  const bytes = new Uint8Array(size);
  const kept = new Fields(bytes);
  let end = 0;
  const copy = (from: number, to: number) => {
    bytes.set(fields.bytes.subarray(from, to), end);
    end += to - from;
  };
  for (let i = 0; i < fields.count; i++) {
    if (fields.dropped[i] !== 0) continue;
    const nameStart = end;
    copy(fields.nameStart(i), fields.nameEnd(i));
    const nameEnd = end;
    bytes[end++] = COLON;
    bytes[end++] = SPACE;
    const valueStart = end;
    copy(fields.valueStart(i), fields.valueEnd(i));
    kept.add(fields.ids[i], nameStart, nameEnd, valueStart, end);
    bytes[end++] = CR;
    bytes[end++] = LF;
  }
  return kept;
}
