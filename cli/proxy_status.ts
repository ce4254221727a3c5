/** `skiff proxy-status`: what each proxy has acknowledged, from the control plane's REST API. */
import type { ProxyStatus } from "../controlplane/push/proxies.ts";
import type { Command } from "./command.ts";
import { callServer, serverFlag, serverUrl } from "./server.ts";
import { table } from "./table.ts";

export const proxyStatusCommand: Command = {
  name: "proxy-status",
  summary: "every proxy: connected, what it has acknowledged, how stale",
  usage: "proxy-status [--server URL] [-o table|json]",
  description:
    `Shows every workload's proxy as the control plane sees it. Of each type of configuration (CDS clusters, EDS endpoints,
LDS listeners, RDS routes, SDS secrets): SYNCED, it has what was sent; STALE, it has not answered yet; NACK, it refused, for the
reason printed below; NOT SENT, there was nothing to send (skiff's agents find secrets themselves).`,
  flags: [serverFlag, { name: "output", short: "o", value: "FORMAT", description: "table or json; default table" }],
  async run(flags) {
    const format = flags.choice("output", ["table", "json"] as const) ?? "table";
    const proxies = await callServer(serverUrl(flags), "/api/v1/proxies") as ProxyStatus[];
    console.log(format === "json" ? JSON.stringify(proxies, null, 2) : proxyTable(proxies, Date.now()));
    return 0;
  },
};

/** One row for each proxy, then the reasons of what was refused. `now`: milliseconds since the epoch. */
export function proxyTable(proxies: ProxyStatus[], now: number): string {
  if (proxies.length === 0) return "no proxy has connected yet";
  const rows = proxies.map(({ namespace, workload, agent, address, connected, types, version, ...proxy }) => [
    `${workload}.${namespace}`,
    agent,
    address,
    connected ? "yes" : `no, for ${age(proxy.disconnectedSince, now)}`,
    ...[types.CDS, types.EDS, types.LDS, types.RDS, types.SDS].map(({ status, staleSince }) =>
      staleSince === undefined ? status : `${status} (${age(staleSince, now)})`
    ),
    version,
  ]);
  const refusals = proxies.flatMap(({ namespace, workload, agent, types }) =>
    Object.entries(types).flatMap(([type, { reason }]) =>
      reason === undefined ? [] : [`${workload}.${namespace} on ${agent} refused ${type}: ${reason}`]
    )
  );
  const heading = ["PROXY", "AGENT", "ADDRESS", "CONNECTED", "CDS", "EDS", "LDS", "RDS", "SDS", "VERSION"];
  return [table([heading, ...rows]), ...refusals].join("\n");
}

/** `42s`, `7m`, `3h`: how long ago that was. */
function age(since: string | undefined, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(since ?? "")) / 1000)) || 0;
  if (seconds < 120) return `${seconds}s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)}m` : `${Math.round(seconds / 3600)}h`;
}
