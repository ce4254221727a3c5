/** (k) Two data threads against one: whether the second costs the first anything. */
import { http1Load } from "../load/requests.ts";
import { median } from "../report.ts";
import type { Contestant, Scenario } from "../scenario.ts";
import { skiff } from "../contestants/skiff.ts";

const connections = 64;

const contestants: Contestant[] = [
  { name: "one data thread", start: (setting) => skiff.start(setting) },
  { name: "two data threads", start: (setting) => skiff.start({ ...setting, threads: 2 }) },
];

export const threads: Scenario = {
  letter: "k",
  title: "two data threads beside one",
  run: (bench, scenario) =>
    bench.withProxies(scenario, { protocol: "http", callers: "plaintext", proxies: 1 }, async (proxies) => {
      const costs = new Map(contestants.map(({ name }) => [name, [] as number[]]));
      for (const { url } of proxies) await http1Load(url, connections, 1);
      await bench.inTurns(scenario, proxies, async (proxy, round) => {
        const load = () => http1Load(proxy.url, connections, bench.options.seconds);
        const [spent, { requests }] = await bench.spent(proxy, load);
        const cost = spent / 1000 / requests;
        costs.get(proxy.name)!.push(cost);
        bench.record(scenario, "µs/request", proxy.name, "skiff", round, cost);
      });
      const [one, two] = contestants.map(({ name }) => costs.get(name)!);
      if (one.length === 0 || two.length === 0) return;
      // The load and the application take of the same processors, so that throughput says little.
      bench.record(scenario, "×", "one thread's work, by processor time", "skiff", 0, 2 * median(one) / median(two));
    }, contestants),
};
