/** Whether a plaintext connection begins as HTTP does (Envoy's http_inspector), from the bytes that have come so far. */
import { preface } from "../decode/http2/protocol.ts";

/** What a connection speaks, by ALPN's names in Envoy; empty: no HTTP. */
export type PlaintextProtocol = "" | "http/1.1" | "h2c";

/** More bytes are needed. */
export const UNDECIDED = "undecided";

/** The longest method that counts, and the longest request line. */
const longestMethod = 32;
const longestLine = 16 * 1024;
const SPACE = 32;
const LINE_FEED = 10;
const versions = [" HTTP/1.1\r", " HTTP/1.0\r", " HTTP/1.1", " HTTP/1.0"];

export function inspectHttp(bytes: Uint8Array, size: number): PlaintextProtocol | typeof UNDECIDED {
  let same = 0;
  while (same < size && same < preface.length && bytes[same] === preface[same]) same++;
  if (same === preface.length) return "h2c";
  if (same === size) return UNDECIDED;
  let position = 0;
  while (position < size && isMethodCharacter(bytes[position])) position++;
  if (position === 0 || position > longestMethod) return "";
  if (position === size) return UNDECIDED;
  if (bytes[position] !== SPACE) return "";
  const end = Math.min(size, longestLine);
  const start = position;
  for (; position < end; position++) {
    const byte = bytes[position];
    if (byte === LINE_FEED) return endsWithVersion(bytes, start, position) ? "http/1.1" : "";
    if (byte < SPACE && byte !== 13) return "";
  }
  return size >= longestLine ? "" : UNDECIDED;
}

/** Upper-case letters and hyphens: every method in use, and the first byte of hardly anything else. */
function isMethodCharacter(byte: number): boolean {
  return (byte >= 65 && byte <= 90) || byte === 45;
}

function endsWithVersion(bytes: Uint8Array, start: number, end: number): boolean {
  return versions.some((version) => {
    const from = end - version.length;
    if (from < start) return false;
    for (let i = 0; i < version.length; i++) if (bytes[from + i] !== version.charCodeAt(i)) return false;
    return true;
  });
}
