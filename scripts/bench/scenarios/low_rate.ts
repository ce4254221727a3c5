/** (h) What a proxy costs when little or nothing comes: nobody polls. */
import { pacedLoad } from "../load/paced.ts";
import type { Scenario } from "../scenario.ts";

const rates = [10, 1000];
const connections = 8;

export const lowRate: Scenario = {
  letter: "h",
  title: "one plaintext hop, little load",
  run: (bench, scenario) =>
    bench.withProxies(scenario, { protocol: "http", callers: "plaintext", proxies: 1 }, async (proxies) => {
      const seconds = bench.options.lowRateSeconds;
      for (const proxy of proxies) {
        // Warm: the first requests compile, allocate and connect.
        await pacedLoad(proxy.port, 5000, connections, 1, null);
        const [idle] = await bench.spent(proxy, () => new Promise((resolve) => setTimeout(resolve, seconds * 1000)));
        bench.record(scenario, "µs/s", "idle", proxy.name, 0, idle / 1000 / seconds);
        for (const rate of rates) {
          const [spent, { errors }] = await bench.spent(
            proxy,
            () => pacedLoad(proxy.port, rate, connections, seconds, null),
          );
          if (errors > 0) bench.fail(scenario, `${proxy.name} at ${rate} requests/s: ${errors} not answered in time`);
          const own = Math.max(0, spent - idle) / 1000;
          bench.record(
            scenario,
            "µs/request",
            `${rate} requests/s, idle taken off`,
            proxy.name,
            0,
            own / (rate * seconds),
          );
        }
      }
    }),
};
