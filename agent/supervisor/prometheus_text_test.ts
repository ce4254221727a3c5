import assert from "node:assert/strict";
import { durationBuckets, histogramLength } from "../config/shared_memory.ts";
import { prometheusText } from "./prometheus_text.ts";
import { type Series, ThreadMetrics } from "./series.ts";

Deno.test("a counter has HELP and TYPE once, and label values are escaped", () => {
  const text = prometheusText([
    { metric: "istio_requests_total", labels: { path: 'a"b\\c\nd' }, values: [3] },
    { metric: "istio_requests_total", labels: { path: "x" }, values: [4] },
  ], []);
  assert.equal(text.match(/# TYPE istio_requests_total counter/g)?.length, 1);
  assert.match(text, /^istio_requests_total\{path="a\\"b\\\\c\\nd"\} 3$/m);
  assert.match(text, /^istio_requests_total\{path="x"\} 4$/m);
});

Deno.test("a histogram's buckets count everything up to their bound", () => {
  const values = new Array<number>(histogramLength).fill(0);
  values[0] = 2; // at most 0.5 ms
  values[2] = 3; // 1 to 5 ms
  values[durationBuckets.length] = 1; // above the last
  values[durationBuckets.length + 1] = 12345.5; // sum
  const text = prometheusText([{ metric: "istio_request_duration_milliseconds", labels: { a: "b" }, values }], []);
  assert.match(text, /_bucket\{a="b",le="0.5"\} 2\n.*le="1"\} 2\n.*le="5"\} 5\n/);
  assert.match(text, /_bucket\{a="b",le="3600000"\} 5\n.*le="\+Inf"\} 6\n/);
  assert.match(text, /_sum\{a="b"\} 12345.5\n.*_count\{a="b"\} 6\n/);
});

Deno.test("a gauge without labels has no braces", () => {
  const text = prometheusText([], [{
    name: "up",
    help: "Up.",
    type: "gauge",
    samples: [{ labels: {}, value: 1 }],
  }]);
  assert.equal(text, "# HELP up Up.\n# TYPE up gauge\nup 1\n");
});

Deno.test("series of several threads with the same labels are one, whatever the labels' order", () => {
  const sums = new Map<string, Series>();
  for (const labels of [{ a: "1", b: "2" }, { b: "2", a: "1" }]) {
    const memory = new SharedArrayBuffer(80);
    new Float64Array(memory)[5] = 7;
    const metrics = new ThreadMetrics(memory);
    metrics.add(5, "istio_requests_total", labels);
    metrics.addTo(sums);
  }
  assert.deepEqual([...sums.values()].map(({ values }) => values), [[14]]);
});
