/** A decoded HTTP/2 request as the same kind of head that an HTTP/1.1 request gives (RFC 9113 §8.3.1). */
import { ascii, authorityLower, SLASH, targetByte, tokenByte } from "../characters.ts";
import type { RequestHead } from "../head.ts";
import type { HeaderSink } from "../hpack/header_sink.ts";
import { hasPort, isConnect } from "../http1/parse_head.ts";
import { Known } from "../known_headers.ts";

const get = ascii("GET");

/** Fills `head` from the sink, whose bytes it shares; false: the request is malformed. */
export function readRequestHead(sink: HeaderSink, head: RequestHead): boolean {
  const { bytes, fields } = sink;
  if (sink.methodStart < 0 || sink.methodEnd === sink.methodStart || sink.statusStart >= 0) return false;
  for (let i = sink.methodStart; i < sink.methodEnd; i++) if (tokenByte[bytes[i]] === 0) return false;
  head.methodStart = sink.methodStart;
  head.methodEnd = sink.methodEnd;
  head.minorVersion = 1;
  if (!readAuthority(sink, head)) return false;
  const extended = sink.protocolStart >= 0;
  if (isConnect(head) && !extended) {
    // RFC 9113 §8.5: an authority with its port, and nothing else.
    if (sink.pathStart >= 0 || sink.schemeStart >= 0 || sink.authorityStart < 0) return false;
    if (!hasPort(bytes, head.authorityStart, head.authorityEnd)) return false;
    head.pathStart = head.pathEnd = head.queryStart = sink.authorityEnd;
    return true;
  }
  if (extended && !readExtendedConnect(sink, head)) return false;
  if (sink.schemeEnd <= sink.schemeStart || sink.pathEnd <= sink.pathStart) return false;
  const asterisk = sink.pathEnd - sink.pathStart === 1 && bytes[sink.pathStart] === 42;
  if (bytes[sink.pathStart] !== SLASH && !(asterisk && head.method === "OPTIONS")) return false;
  let query = sink.pathEnd;
  for (let i = sink.pathStart; i < sink.pathEnd; i++) {
    if (targetByte[bytes[i]] === 0) return false;
    if (bytes[i] === 63 && query === sink.pathEnd) query = i;
  }
  head.pathStart = sink.pathStart;
  head.pathEnd = sink.pathEnd;
  head.queryStart = query;
  fields.drop(Known.host);
  return true;
}

/**
 * A request for another protocol (RFC 8441 §4): as in Envoy it is matched, judged and forwarded as the GET that asks for
 * the same in HTTP/1.1.
 */
function readExtendedConnect(sink: HeaderSink, head: RequestHead): boolean {
  const { bytes } = sink;
  if (!isConnect(head) || sink.authorityStart < 0 || sink.protocolEnd === sink.protocolStart) return false;
  for (let i = sink.protocolStart; i < sink.protocolEnd; i++) if (tokenByte[bytes[i]] === 0) return false;
  bytes.set(get, head.methodStart);
  head.methodEnd = head.methodStart + get.length;
  return true;
}

/** `:authority`, or Host where there is none; where both are, they must agree. */
function readAuthority(sink: HeaderSink, head: RequestHead): boolean {
  const { bytes, fields } = sink;
  const host = fields.first[Known.host];
  if (fields.occurrences[Known.host] > 1) return false;
  if (sink.authorityStart < 0 && host < 0) {
    head.authorityStart = head.authorityEnd = sink.methodEnd;
    return true;
  }
  head.authorityStart = sink.authorityStart >= 0 ? sink.authorityStart : fields.valueStart(host);
  head.authorityEnd = sink.authorityStart >= 0 ? sink.authorityEnd : fields.valueEnd(host);
  if (!lower(bytes, head.authorityStart, head.authorityEnd)) return false;
  if (host < 0 || sink.authorityStart < 0) return true;
  const start = fields.valueStart(host);
  const end = fields.valueEnd(host);
  if (!lower(bytes, start, end) || end - start !== head.authorityEnd - head.authorityStart) return false;
  for (let i = 0; i < end - start; i++) if (bytes[start + i] !== bytes[head.authorityStart + i]) return false;
  return true;
}

function lower(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const byte = authorityLower[bytes[i]];
    if (byte === 0) return false;
    bytes[i] = byte;
  }
  return true;
}
