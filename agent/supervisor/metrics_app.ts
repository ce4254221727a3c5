/** `/stats/prometheus` (15020): the mesh's metrics of this agent, and its own. */
import process from "node:process";
import { Hono } from "hono";
import type { AgentView } from "./agent_view.ts";
import type { LocalBindings } from "./local_server.ts";
import { type Gauge, prometheusText } from "./prometheus_text.ts";

export function metricsApp(view: AgentView): Hono<{ Bindings: LocalBindings }> {
  const app = new Hono<{ Bindings: LocalBindings }>();
  app.get("/stats/prometheus", (c) => {
    c.header("content-type", "text/plain; version=0.0.4; charset=utf-8");
    return c.body(prometheusText(view.threads()?.series() ?? [], [...agentGauges(view), ...processGauges()]));
  });
  return app;
}

function agentGauges(view: AgentView): Gauge[] {
  const threads = view.threads();
  return [
    {
      name: "istio_agent_cert_expiry_seconds",
      help: "Time until a workload's certificate ends, in seconds.",
      type: "gauge",
      samples: view.certificates().map(({ identity, notAfter }) => ({
        labels: { identity },
        value: (notAfter.getTime() - Date.now()) / 1000,
      })),
    },
    {
      name: "skiff_agent_control_plane_connected",
      help: "1 while a workload's stream to the control plane is open.",
      type: "gauge",
      samples: view.workloads().map(({ name, stream }) => ({
        labels: { workload: name },
        value: stream.connected ? 1 : 0,
      })),
    },
    gauge("skiff_agent_data_threads", "Data threads.", "gauge", threads?.count ?? 0),
    gauge("skiff_agent_data_thread_crashes_total", "Data threads that crashed.", "counter", threads?.crashes ?? 0),
  ];
}

/** Prometheus' usual names for what every process has. */
function processGauges(): Gauge[] {
  const { user, system } = process.cpuUsage();
  const start = (performance.timeOrigin / 1000).toFixed(3);
  return [
    gauge("process_cpu_seconds_total", "Processor time, in seconds.", "counter", (user + system) / 1e6),
    gauge("process_resident_memory_bytes", "Resident memory, in bytes.", "gauge", Deno.memoryUsage().rss),
    gauge("process_start_time_seconds", "Start, in Unix seconds.", "gauge", Number(start)),
    gauge("process_open_fds", "Open file descriptors.", "gauge", [...Deno.readDirSync("/proc/self/fd")].length),
  ];
}

function gauge(name: string, help: string, type: Gauge["type"], value: number): Gauge {
  return { name, help, type, samples: [{ labels: {}, value }] };
}
