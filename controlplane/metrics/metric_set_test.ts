import { equal } from "node:assert/strict";
import { MetricSet } from "./metric_set.ts";

Deno.test("writes counters, gauges and histograms as Prometheus reads them", () => {
  const metrics = new MetricSet();
  const pushes = metrics.counter("pushes", "Pushes by type.");
  const time = metrics.histogram("time", "Seconds.", [0.1, 1]);
  metrics.gauge("connected", "Streams.", () => 3);
  pushes.add({ type: "cds" });
  pushes.add({ type: "cds" }, 2);
  pushes.add({ type: 'a"b\\c\nd' });
  for (const value of [0.1, 0.5, 7]) time.observe(value);
  equal(
    metrics.text(),
    `# HELP pushes Pushes by type.
# TYPE pushes counter
pushes{type="cds"} 3
pushes{type="a\\"b\\\\c\\nd"} 1
# HELP time Seconds.
# TYPE time histogram
time_bucket{le="0.1"} 1
time_bucket{le="1"} 2
time_bucket{le="+Inf"} 3
time_sum 7.6
time_count 3
# HELP connected Streams.
# TYPE connected gauge
connected 3
`,
  );
});
