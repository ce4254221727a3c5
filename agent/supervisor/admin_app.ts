/** The admin port (15000), in the spirit of Envoy's. It never shows a key. */
import { isIP } from "node:net";
import { Hono } from "hono";
import { type Level, logger, logLevel, setLogLevel } from "../../log/log.ts";
import { nodeToMetadata } from "../../routing/xds/node.ts";
import type { AgentView } from "./agent_view.ts";
import { nameStatsText, type WatchedNamesOf } from "./name_stats.ts";
import { clustersText, listenersText, statsText } from "./cluster_stats.ts";
import type { LocalBindings } from "./local_server.ts";
import type { WorkloadAgent } from "./workload_agent.ts";

const log = logger("admin");
const levels: readonly Level[] = ["debug", "info", "warn", "error"];
const index = `/certs: certificates and when they end
/clusters: endpoints with their counters
/config_dump: what the data threads execute
/drain (POST): finish what is in flight, take nothing new
/listeners: where this agent listens
/logging (POST ?level=debug|info|warn|error): the log level
/stats: counters of clusters
`;

/** `address` is where the port listens. */
export function adminApp(view: AgentView, address: string): Hono<{ Bindings: LocalBindings }> {
  const app = new Hono<{ Bindings: LocalBindings }>();
  app.use(async (c, next) => {
    // A page in a browser on this machine must not reach what only its operator may, nor by a name of its own choice.
    if (c.req.header("origin") !== undefined || !isAddress(new URL(c.req.url).hostname)) {
      return c.text("the admin port does not answer web pages\n", 403);
    }
    if (!isOwn(c.env.remoteAddr, address)) return c.text("the admin port answers this machine only\n", 403);
    await next();
  });
  const threads = () => view.threads();
  app.get("/", (c) => c.text(index));
  app.get("/certs", (c) => c.json({ certificates: certificates(view) }));
  app.get("/config_dump", (c) => c.json({ agent: view.name(), workloads: view.workloads().map(configurationOf) }));
  app.get("/clusters", (c) => c.text(textOf(threads(), clustersText)));
  app.get("/stats", (c) => c.text(textOf(threads(), statsText) + nameStatsText(watchedNames(view))));
  app.get("/listeners", (c) => c.text(textOf(threads(), listenersText)));
  app.get("/logging", (c) => c.json({ level: logLevel() }));
  app.post("/logging", (c) => {
    const level = levels.find((one) => one === c.req.query("level"));
    if (level === undefined) return c.text(`level must be one of ${levels.join(", ")}\n`, 400);
    setLogLevel(level);
    log.info("log level changed", { level });
    return c.json({ level });
  });
  app.post("/drain", (c) => {
    view.drain();
    return c.text("draining\n");
  });
  return app;
}

/** An IP address (in brackets if IPv6), or `localhost`. */
function isAddress(hostname: string): boolean {
  return hostname === "localhost" || isIP(hostname.replace(/^\[|\]$/g, "")) !== 0;
}

/** A caller on this machine: on loopback, or with the very address that it calls. */
function isOwn(remote: Deno.NetAddr, address: string): boolean {
  const hostname = remote.hostname.replace(/^::ffff:/, "");
  return hostname.startsWith("127.") || hostname === "::1" || hostname === address;
}

function textOf<T>(source: T | null, text: (source: T) => string): string {
  return source === null ? "" : text(source);
}

function certificates(view: AgentView): unknown[] {
  return view.certificates().map(({ spiffeId, serialNumber, notBefore, notAfter }) => ({
    cert_chain: [{
      serial_number: serialNumber,
      subject_alt_names: [{ uri: spiffeId }],
      valid_from: notBefore.toISOString(),
      expiration_time: notAfter.toISOString(),
      days_until_expiration: String(Math.floor((notAfter.getTime() - Date.now()) / 86_400_000)),
    }],
  }));
}

function configurationOf(workload: WorkloadAgent): unknown {
  const { clusters, endpoints, routes, listeners } = workload.configuration.inForce;
  return {
    workload: workload.name,
    identity: workload.plan.identity,
    node: nodeToMetadata(workload.plan.node),
    connected: workload.stream.connected,
    health: workload.health,
    versions: workload.configuration.acceptedVersions(),
    listeners: [...listeners.values()],
    routes: [...routes.values()],
    clusters: [...clusters.values()],
    endpoints: [...endpoints.values()],
  };
}

function watchedNames(view: AgentView): WatchedNamesOf[] {
  return view.workloads().map(({ name, configuration }) => ({ workload: name, names: configuration.watchedNames() }));
}
