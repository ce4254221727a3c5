import { deepEqual, equal, ok } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { connect, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from "node:http2";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { ascii } from "../../../agent/decode/characters.ts";
import { HpackDecoder } from "../../../agent/decode/hpack/hpack_decoder.ts";
import { HpackEncoder } from "../../../agent/decode/hpack/hpack_encoder.ts";
import { decodeBlock, encodeList, type Field, fieldsOf } from "./header_lists.ts";

const preface = ascii("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const FrameType = { headers: 1, settings: 4 } as const;

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(9 + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  bytes.set(payload, 9);
  return bytes;
}

/** Reads the frames of a connection; calls `onHeaders` for each block (the client sends whole ones). */
function readFrames(socket: Socket, onHeaders: (stream: number, block: Uint8Array) => void): void {
  let input = Buffer.alloc(0);
  let skipped = false;
  socket.on("data", (chunk) => {
    input = Buffer.concat([input, chunk as Buffer]);
    if (!skipped && input.length >= preface.length) {
      input = input.subarray(preface.length);
      skipped = true;
    }
    while (skipped && input.length >= 9 && input.length >= 9 + input.readUIntBE(0, 3)) {
      const end = 9 + input.readUIntBE(0, 3);
      const [type, flags] = [input[3], input[4]];
      if (type === FrameType.settings && flags === 0) socket.write(frame(FrameType.settings, 1, 0, new Uint8Array(0)));
      if (type === FrameType.headers) {
        ok((flags & 4) !== 0, "the whole block in one frame");
        const padding = (flags & 8) !== 0 ? input[9] : 0;
        const start = 9 + ((flags & 8) !== 0 ? 1 : 0) + ((flags & 32) !== 0 ? 5 : 0);
        onHeaders(input.readUInt32BE(5), input.subarray(start, end - padding));
      }
      input = input.subarray(end);
    }
  });
}

const requests: Record<string, string>[] = Array.from({ length: 30 }, (_, i) => ({
  ":path": `/items/${i % 3}?page=${i}`,
  "user-agent": "conformance",
  "x-tenant": `tenant-${i % 2}`,
  "x-long": "l".repeat(i * 20),
  authorization: "Bearer abc",
}));

function responseTo(index: number): Field[] {
  return [
    [":status", String([200, 201, 404, 503][index % 4])],
    ["server", "conformance"],
    ["x-index", String(index)],
    ["x-long", "\u00e9~".repeat(index)],
  ];
}

Deno.test("blocks go both ways between ours and the runtime's HTTP/2 client, request after request", async () => {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder();
  const received: Record<string, string>[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.write(frame(FrameType.settings, 0, 0, new Uint8Array(0)));
    readFrames(socket, (stream, block) => {
      const { code, sink } = decodeBlock(decoder, block);
      equal(code, 0);
      equal(sink.malformed, false);
      const response = encodeList(encoder, responseTo(received.length));
      received.push(Object.fromEntries(fieldsOf(sink)));
      socket.write(frame(FrameType.headers, 5, stream, response));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  try {
    for (let index = 0; index < requests.length; index++) {
      const headers = await new Promise<IncomingHttpHeaders & IncomingHttpStatusHeader>((resolve, reject) => {
        const request = client.request(requests[index]);
        request.on("response", resolve).on("error", reject).resume().end();
      });
      const [[, status], ...fields] = responseTo(index);
      equal(headers[":status"], Number(status));
      for (const [name, value] of fields) equal(headers[name], value, `${name} of response ${index}`);
      const { ":method": method, ":scheme": scheme, ":authority": _, ...rest } = received[index];
      deepEqual([method, scheme], ["GET", "http"]);
      deepEqual(rest, requests[index]);
    }
  } finally {
    client.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
});
