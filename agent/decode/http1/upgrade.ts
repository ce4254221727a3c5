/** Switching protocols on an HTTP/1.1 connection (RFC 9110 §7.8): who asks for what, and the answer that grants it. */
import type { BodyFraming } from "../../downstream_stream.ts";
import { type ResponseFraming, writeResponseFields } from "../../respond/response_head.ts";
import { statusLine } from "../../respond/status_lines.ts";
import type { CompiledMutation } from "../../route/header_mutation.ts";
import type { ByteQueue } from "../../worker/buffers.ts";
import { hasOption } from "../connection_options.ts";
import type { Fields, ResponseHead } from "../head.ts";
import { Known } from "../known_headers.ts";

/** What a CONNECT asks for, beside the names of protocols. */
export const CONNECT = "connect";

/** HTTP/2 is agreed on by ALPN or spoken from the first byte; as in Envoy, the request is one of HTTP/1.1. */
const ignored = "h2c";

/**
 * What a head of HTTP/1.1 wants to switch to, in lower case; empty: nothing. A list of protocols stays one text, which
 * no configuration allows.
 */
export function upgradeOf(fields: Fields): string {
  if (!fields.has(Known.upgrade) || !hasOption(fields, "upgrade")) return "";
  let type = fields.known(Known.upgrade)!.toLowerCase();
  if (fields.occurrences[Known.upgrade] > 1) type += ",";
  return type === ignored ? "" : type;
}

/** Appends the fields that ask for, or grant, the switch, and the empty line that ends the head. */
export function appendUpgrade(out: ByteQueue, type: string): void {
  out.appendText(`connection: upgrade\r\nupgrade: ${type}\r\n\r\n`);
}

/** Writes the head after which a connection carries another protocol. */
export function writeSwitchingProtocols(
  out: ByteQueue,
  type: string,
  head: ResponseHead,
  body: BodyFraming,
  framing: ResponseFraming,
  upstreamTime: number,
  mutations: readonly CompiledMutation[],
): void {
  out.appendAll(statusLine(head.status));
  writeResponseFields(out, head, body, framing, upstreamTime, mutations);
  if (type === CONNECT) out.appendText("\r\n");
  else appendUpgrade(out, type);
}
