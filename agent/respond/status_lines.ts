/** Status lines as bytes, with the reason phrases of RFC 9110 §15 and its extensions. */
import { STATUS_CODES } from "node:http";
import { ascii } from "../decode/characters.ts";

const lines: (Uint8Array | undefined)[] = new Array(1000);

/** `HTTP/1.1 200 OK\r\n` */
export function statusLine(status: number): Uint8Array {
  return lines[status] ??= ascii(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Unknown"}\r\n`);
}
