/**
 * The part of WebSocket's handshake that HTTP/2 leaves out (RFC 8441 §5): a caller of HTTP/2 sends no key, a server there
 * computes no answer to one. For the side that speaks HTTP/1.1 the proxy does it (RFC 6455 §4).
 */
import { createHash } from "node:crypto";
import { ascii, latin1 } from "../decode/characters.ts";
import type { Fields } from "../decode/head.ts";
import type { ByteQueue } from "../worker/buffers.ts";

export const WEBSOCKET = "websocket";

const keyName = ascii("sec-websocket-key");
const acceptName = ascii("sec-websocket-accept");
const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** Adds a key to a request's head where the caller has sent none. */
export function appendMissingKey(out: ByteQueue, fields: Fields): void {
  if (fields.find(keyName) >= 0) return;
  const key = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))));
  out.appendText(`sec-websocket-key: ${key}\r\n`);
}

/** `sec-websocket-accept` for the key in a request's head; `null`: there is no key, or the server has answered it. */
export function missingAccept(requestHead: ByteQueue, response: Fields): string | null {
  if (response.find(acceptName) >= 0) return null;
  const key = /\r\nsec-websocket-key: ([^\r]*)/.exec(latin1(requestHead.bytes, requestHead.start, requestHead.end))
    ?.[1];
  return key === undefined ? null : createHash("sha1").update(key + guid).digest("base64");
}
