import assert from "node:assert/strict";
import { durationBuckets, histogramLength } from "../config/shared_memory.ts";
import type { DataThreadMessage } from "../config/model.ts";
import { SeriesTable } from "./series.ts";

function table(size: number): { values: Float64Array; messages: DataThreadMessage[]; series: SeriesTable } {
  const values = new Float64Array(size);
  const messages: DataThreadMessage[] = [];
  return { values, messages, series: new SeriesTable(values, (message) => messages.push(message)) };
}

Deno.test("a new series is announced once, with places that do not overlap", () => {
  const { messages, series } = table(1000);
  series.request({ a: "1" });
  series.request({ a: "2" });
  const places = messages.map((message) =>
    message.kind === "series" ? [message.metric, message.slot, message.labels.a] : []
  );
  const h = histogramLength;
  assert.deepEqual(places, [
    ["istio_requests_total", 0, "1"],
    ["istio_request_duration_milliseconds", 1, "1"],
    ["istio_request_bytes", 1 + h, "1"],
    ["istio_response_bytes", 1 + 2 * h, "1"],
    ["istio_requests_total", 1 + 3 * h, "2"],
    ["istio_request_duration_milliseconds", 2 + 3 * h, "2"],
    ["istio_request_bytes", 2 + 4 * h, "2"],
    ["istio_response_bytes", 2 + 5 * h, "2"],
  ]);
});

Deno.test("requests are counted in the bucket of their value, and summed", () => {
  const { values, series } = table(1000);
  const one = series.request({});
  const last = durationBuckets.length;
  for (const value of [0, 0.5, 0.6, 1, 3_600_000, 3_600_001]) series.record(one, value, 0, 10);
  assert.equal(values[one.requests], 6);
  const buckets = [...values.subarray(one.duration, one.duration + last + 1)];
  assert.deepEqual(buckets, [2, 2, ...new Array(last - 3).fill(0), 1, 1]);
  assert.equal(values[one.duration + histogramLength - 1], 0.5 + 0.6 + 1 + 3_600_000 + 3_600_001);
  assert.equal(values[one.responseBytes + 3], 6);
  assert.equal(values[one.responseBytes + histogramLength - 1], 60);
});

Deno.test("when memory is used up it is said once, and counting goes on without harm", () => {
  const { values, messages, series } = table(2 * (1 + 3 * histogramLength));
  const kept = series.request({ a: "1" });
  series.request({ a: "2" });
  const before = messages.length;
  for (let i = 0; i < 3; i++) series.record(series.request({ a: `${i + 3}` }), 1, 1, 1);
  assert.deepEqual(messages.slice(before).map((message) => message.kind), ["log"]);
  assert.equal(values[kept.requests], 0);
});
