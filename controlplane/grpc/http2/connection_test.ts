import { deepEqual, equal } from "node:assert/strict";
import { until } from "../../testing/test_mesh.ts";
import { check, type Echo, framed, type RawConnection } from "../testing/echo_server.ts";
import { ErrorCode, settingsPayload, uint32s } from "./frames.ts";

const stream = "/test.Echo/Stream";

/** What a client does, and the error code with which its connection ends. */
function ends(sentence: string, code: number, act: (raw: RawConnection) => void): void {
  check(sentence, async (echo) => {
    const raw = await echo.raw();
    act(raw);
    await until(() => raw.goneWith !== null, "a GOAWAY has come");
    equal(raw.goneWith, code);
    await until(() => raw.closed, "the connection has closed");
    await stillServes(echo);
  });
}

async function stillServes(echo: Echo): Promise<void> {
  equal(echo.calls.size, 0);
  using client = echo.client();
  deepEqual((await echo.call(client, "/test.Echo/Unary", new Uint8Array(1))).message, new Uint8Array(1));
}

const { protocolError, frameSizeError, flowControlError, compressionError, enhanceYourCalm } = ErrorCode;
const repeat = (times: number, step: (turn: number) => void) => Array.from({ length: times }, (_, turn) => step(turn));

ends("HEADERS on stream 0 end the connection", protocolError, (raw) => raw.request(0, stream));
ends("HEADERS on a stream of the server's end the connection", protocolError, (raw) => raw.request(2, stream));
ends("DATA on a stream that was never opened ends the connection", protocolError, (raw) => raw.send(0, 0, 5));
ends(
  "RST_STREAM of a stream that was never opened ends the connection",
  protocolError,
  (raw) => raw.send(3, 0, 5, uint32s(8)),
);
ends("a CONTINUATION of nothing ends the connection", protocolError, (raw) => raw.send(9, 4, 1));
ends("a header block that is interrupted ends the connection", protocolError, (raw) => {
  raw.send(1, 0, 1, new Uint8Array([0x83]));
  raw.send(6, 0, 0, new Uint8Array(8));
});
ends("a PUSH_PROMISE of a client ends the connection", protocolError, (raw) => raw.send(5, 4, 1, uint32s(2)));
ends(
  "padding longer than its frame ends the connection",
  protocolError,
  (raw) => raw.send(1, 8 | 4, 1, new Uint8Array([9, 1])),
);
ends("a frame larger than agreed ends the connection before its payload", frameSizeError, (raw) => {
  raw.send(0, 0, 1, new Uint8Array(0), 16_385);
});
ends("SETTINGS of a wrong length end the connection", frameSizeError, (raw) => raw.send(4, 0, 0, new Uint8Array(5)));
ends("a PING of a wrong length ends the connection", frameSizeError, (raw) => raw.send(6, 0, 0, new Uint8Array(7)));
ends("a window that grows beyond 2^31-1 ends the connection", flowControlError, (raw) => {
  raw.send(8, 0, 0, uint32s(2 ** 31 - 1));
});
ends("an initial window beyond 2^31-1 ends the connection", flowControlError, (raw) => {
  raw.send(4, 0, 0, settingsPayload([[4, 2 ** 31]]));
});
ends(
  "a field that no table has ends the connection",
  compressionError,
  (raw) => raw.send(1, 4, 1, new Uint8Array([0xff, 0x7f])),
);
ends("headers without end are cut at their limit", enhanceYourCalm, (raw) => {
  raw.send(1, 0, 1, new Uint8Array([0x83]));
  repeat(4, () => raw.send(9, 0, 1, new Uint8Array(16_000)));
});
ends("headers that decode to more than their limit are cut", enhanceYourCalm, (raw) => {
  // One entry of 4,000 bytes, and indices of it.
  const block = new Uint8Array(4_004 + 40).fill(0xbe);
  block.set([0x40, 1, 0x61, 0x7f, 0xa1, 0x1e]);
  block.fill(0x62, 6, 6 + 4_000);
  raw.send(1, 4, 1, block.subarray(0, 4_044));
});
ends("streams that are opened and reset without end are cut off", enhanceYourCalm, (raw) => {
  repeat(200, (turn) => {
    raw.request(2 * turn + 1, stream);
    raw.send(3, 0, 2 * turn + 1, uint32s(8));
  });
});
ends(
  "pings without end are cut off",
  enhanceYourCalm,
  (raw) => repeat(1_100, () => raw.send(6, 0, 0, new Uint8Array(8))),
);
ends("SETTINGS without end are cut off", enhanceYourCalm, (raw) => repeat(1_100, () => raw.send(4, 0, 0)));
ends("empty DATA without end is cut off", enhanceYourCalm, (raw) => {
  raw.request(1, stream);
  repeat(1_100, () => raw.send(0, 0, 1));
});

check("more streams than allowed are refused, and the others served", async (echo) => {
  const raw = await echo.raw();
  repeat(101, (turn) => raw.request(2 * turn + 1, stream));
  await until(() => raw.resetWith(201) !== null, "the last is refused");
  equal(raw.resetWith(201), ErrorCode.refusedStream);
  equal(echo.calls.size, 100);
});

check("an answer waits for the client's windows, and goes on with them", async (echo) => {
  const raw = await echo.raw();
  raw.send(4, 0, 0, settingsPayload([[4, 10]]));
  raw.request(1, stream);
  raw.send(0, 1, 1, framed(new Uint8Array(45)));
  const received = () =>
    raw.frames.filter(({ type }) => type === 0).reduce((sum, { payload }) => sum + payload.length, 0);
  await until(() => received() === 10, "one window is there");
  raw.send(8, 0, 1, uint32s(20));
  await until(() => received() === 30, "what the window allows is there");
  raw.send(4, 0, 0, settingsPayload([[4, 1_000]]));
  await until(() => received() === 50, "all is there");
  await until(() => raw.frames.some(({ type, flags }) => type === 1 && flags & 1), "the trailers are there");
});

check("a silent client is noticed", async (echo) => {
  const raw = await echo.raw();
  raw.request(1, stream);
  await until(() => echo.calls.size === 1, "the call is there");
  // It answers no ping: RawConnection never does.
  await until(() => raw.closed, "the connection has closed");
  equal(echo.calls.size, 0);
}, { interval: 100, timeout: 200 });
