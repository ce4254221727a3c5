/** `skiff proxy-config TYPE AGENT`: what the proxies of an agent have, from the control plane's REST API. */
import { configTypes, type ProxyResourceView } from "../controlplane/api/proxy_config.ts";
import type { Command } from "./command.ts";
import { configTables } from "./proxy_config_tables.ts";
import { callServer, serverFlag, serverUrl } from "./server.ts";

const summaries: Record<string, string> = {
  listeners: "where a proxy listens, and what becomes of the connections",
  routes: "which requests of a proxy go where",
  clusters: "what a proxy can reach",
  endpoints: "the addresses behind a proxy's clusters",
  secrets: "names of the certificates and trust bundles that a proxy uses, never keys",
};

const outputFlag = { name: "output", short: "o", value: "FORMAT", description: "table or json; default table" };

export const proxyConfigCommands: Command[] = Object.keys(configTypes).map((type) => ({
  name: `proxy-config ${type}`,
  summary: summaries[type],
  usage: `proxy-config ${type} AGENT [-o table|json] [--server URL]`,
  description:
    `Shows what the control plane has given the proxies of AGENT, and what they have made of it (STATUS as in proxy-status).
AGENT is the agent's name, for all its workloads, or WORKLOAD.NAMESPACE as proxy-status has it, for one.`,
  flags: [serverFlag, outputFlag],
  argument: "AGENT",
  async run(flags, agent = "") {
    const format = flags.choice("output", ["table", "json"] as const) ?? "table";
    const server = serverUrl(flags);
    const ask = async (of: string) =>
      await callServer(server, `/api/v1/proxies/${encodeURIComponent(agent)}/config/${of}`) as ProxyResourceView[];
    const resources = await ask(type);
    if (format === "json") console.log(JSON.stringify(resources, null, 2));
    else if (type === "secrets") {
      console.log(configTables.secrets([...resources, ...await ask("listeners"), ...await ask("clusters")]));
    } else console.log(configTables[type](resources));
    return 0;
  },
}));
