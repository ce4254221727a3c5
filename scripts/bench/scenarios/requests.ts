/** Processor time per request under full load, and latency at a constant rate of half of what nginx can do. */
import type { Bench, Running } from "../bench_run.ts";
import { grpcLoad, http1Load, http2Load, type Load } from "../load/requests.ts";
import { pacedLoad } from "../load/paced.ts";
import { median } from "../report.ts";
import type { Scenario, Work } from "../scenario.ts";

/** Connections while a proxy warms up, and at the constant rate. */
const usualConnections = 32;
const warmUpSeconds = 2;
/** Connections with 100 streams each. */
const multiplexedConnections = [1, 8];

const plaintext: Work = { protocol: "http", callers: "plaintext", proxies: 1 };
const tls: Work = { protocol: "http", callers: "tls", proxies: 1 };
const mesh: Work = { protocol: "http", callers: "plaintext", proxies: 2 };
const oneAgent: Work = { ...mesh, oneAgent: true };
const grpc: Work = { protocol: "grpc", callers: "plaintext", proxies: 1 };

export const requestScenarios: Scenario[] = [
  {
    letter: "a",
    title: "one plaintext hop",
    run: (bench, scenario) => http1(bench, scenario, plaintext),
  },
  {
    letter: "b",
    title: "TLS 1.3 termination",
    run: (bench, scenario) => http1(bench, scenario, tls),
  },
  {
    letter: "c",
    title: "mesh path: plaintext in, mutual TLS 1.3 between two proxies, plaintext out",
    run: (bench, scenario) => http1(bench, scenario, mesh),
  },
  {
    letter: "d",
    title: "mesh path between two workloads of one agent (the others: as in c)",
    run: (bench, scenario) => http1(bench, scenario, oneAgent),
  },
  {
    letter: "e",
    title: "HTTP/2 over TLS from callers, 100 streams a connection",
    run: (bench, scenario) => multiplexed(bench, scenario, tls, http2Load),
  },
  {
    letter: "f",
    title: "gRPC unary, 100 streams a connection, HTTP/2 on both sides",
    run: (bench, scenario) =>
      multiplexed(
        bench,
        scenario,
        grpc,
        (url, connections, seconds) => grpcLoad(url, connections, seconds, bench.folder),
      ),
  },
];

function http1(bench: Bench, scenario: Scenario, work: Work): Promise<void> {
  return bench.withProxies(scenario, work, async (proxies) => {
    for (const { url } of proxies) await http1Load(url, usualConnections, warmUpSeconds);
    await fullLoad(bench, scenario, proxies, bench.options.connections, "connections", http1Load);
    await constantRate(bench, scenario, work, proxies);
  });
}

function multiplexed(bench: Bench, scenario: Scenario, work: Work, load: Loader): Promise<void> {
  return bench.withProxies(scenario, work, async (proxies) => {
    for (const { url } of proxies) await load(url, 1, warmUpSeconds);
    await fullLoad(bench, scenario, proxies, multiplexedConnections, "× 100 streams", load);
  });
}

type Loader = (url: string, connections: number, seconds: number) => Promise<Load>;

async function fullLoad(
  bench: Bench,
  scenario: Scenario,
  proxies: Running[],
  steps: number[],
  unit: string,
  load: Loader,
): Promise<void> {
  for (const connections of steps) {
    await bench.inTurns(scenario, proxies, async (proxy, round) => {
      const row = `${connections} ${unit}`;
      const [spent, { requests, requestsPerSecond, errors }] = await bench.spent(
        proxy,
        () => load(proxy.url, connections, bench.options.seconds),
      );
      if (errors > 0 || requests === 0) {
        const message = `${proxy.name}, ${row}, round ${round + 1}: ${errors} errors, ${requests} answers`;
        tell(bench, scenario, proxy, message);
      }
      if (requests === 0) return;
      bench.record(scenario, "µs/request", row, proxy.name, round, spent / 1000 / requests);
      bench.record(scenario, "requests/s", row, proxy.name, round, requestsPerSecond);
    });
  }
}

async function constantRate(bench: Bench, scenario: Scenario, work: Work, proxies: Running[]): Promise<void> {
  const { values } = bench.results;
  const saturated = values.filter((value) =>
    value.scenario === scenario.letter && value.table === "requests/s" && value.proxy === "nginx"
  );
  if (saturated.length === 0) return;
  const rate = Math.round(median(saturated.map(({ value }) => value)) / 2);
  const authority = work.callers === "plaintext" ? null : bench.certificates.authority;
  await bench.inTurns(scenario, proxies, async (proxy, round) => {
    const latency = await pacedLoad(proxy.port, rate, usualConnections, bench.options.rateSeconds, authority);
    // A proxy that does not keep up has latencies that grow with the time of the measurement: they say that.
    if (latency.errors > 0) {
      const message = `${proxy.name} at ${rate} requests/s, round ${round + 1}: ${latency.errors} not answered in time`;
      tell(bench, scenario, proxy, message);
    }
    bench.record(scenario, "ms", "p50", proxy.name, round, latency.p50);
    bench.record(scenario, "ms", "p99", proxy.name, round, latency.p99);
    bench.record(scenario, "ms", "p99.9", proxy.name, round, latency.p999);
  });
  bench.results.notes.push(`(${scenario.letter}) latency at ${rate} requests/s on ${usualConnections} connections.`);
}

/** What a peer does wrong stands below the tables, and is no failure of ours (nginx answers some gRPC calls with 502). */
function tell(bench: Bench, scenario: Scenario, proxy: Running, message: string): void {
  if (proxy.name === "skiff") bench.fail(scenario, message);
  else bench.results.notes.push(`(${scenario.letter}) ${message}.`);
}
