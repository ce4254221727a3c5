/** Parsed request heads for tests. */
import assert from "node:assert/strict";
import { Fields, RequestHead } from "../../decode/head.ts";
import { parseRequestHead } from "../../decode/http1/parse_head.ts";

/** The head of a request with this request line (without its version) and these header lines. */
export function request(line: string, ...headers: string[]): RequestHead {
  const host = headers.some((header) => /^host:/i.test(header)) ? [] : ["Host: a"];
  const text = [`${line} HTTP/1.1`, ...host, ...headers, "", ""].join("\r\n");
  const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
  const head = new RequestHead(new Fields(bytes));
  assert.equal(parseRequestHead(bytes, 0, bytes.length, head), bytes.length, text);
  return head;
}
