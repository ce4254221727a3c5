/** The roles a process can take: control plane, agent, or both in one process. */
import type { Command } from "./command.ts";
import { dataDirFlag } from "./data_dir.ts";
import type { Flag } from "./flags.ts";
import { tokenFlags } from "./join_token_flags.ts";
import { agentOptions, controlPlaneOptions } from "./role_options.ts";
import { runUntilSignalled } from "./signals.ts";
import { UsageError } from "./usage_error.ts";

const controlPlaneFlags: Flag[] = [
  {
    name: "config-dir",
    value: "DIR",
    description:
      "Istio resources: *.yaml, *.yml and *.json below it, watched; an invalid file keeps its last good content",
  },
  { name: "xds-listen", value: "ADDR", description: "ADS and renewal, gRPC over mutual TLS; default 0.0.0.0:15012" },
  { name: "join-listen", value: "ADDR", description: "joining with a token, HTTPS; default 0.0.0.0:15011" },
  {
    name: "advertise",
    value: "NAME,…",
    repeated: true,
    description: "names and addresses under which agents reach it; default: the host's own",
  },
  { name: "http-listen", value: "ADDR", description: "REST API, /metrics, /healthz, /readyz; default 127.0.0.1:15014" },
  { name: "store", value: "URL", description: "where resources are kept; default sqlite, in the data directory" },
  {
    name: "ca-dir",
    value: "DIR",
    description: "plug-in CA: ca-cert.pem, ca-key.pem, root-cert.pem, cert-chain.pem; default: one of its own",
  },
  { name: "workload-cert-ttl", value: "DURATION", description: "lifetime of workload certificates; default 24h" },
];

const agentFlags: Flag[] = [
  ...tokenFlags,
  { name: "workers", value: "N", description: "data threads; default: one per CPU" },
];

export const controlPlaneRole: Command = {
  name: "--role=controlplane",
  summary: "configuration, discovery and certificates for every agent",
  usage: "--role=controlplane [flags]",
  description: "Runs the control plane. SIGTERM ends it with 0; agents go on without it.",
  flags: [
    { name: "config", value: "FILE", description: "mesh.yaml, with the fields of Istio's MeshConfig" },
    ...controlPlaneFlags,
    dataDirFlag,
  ],
  async run(flags) {
    const options = controlPlaneOptions(flags, flags.file("config"));
    const { startControlPlaneRole } = await import("./control_plane_role.ts");
    return await runUntilSignalled(() => startControlPlaneRole(options));
  },
};

export const agentRole: Command = {
  name: "--role=agent",
  summary: "the proxy of every workload on this machine",
  usage: "--role=agent --config FILE [flags]",
  description:
    `Runs the node agent: joins the mesh with a token once, keeps the workloads' certificates current, and carries
their traffic. SIGTERM drains it: requests under way are finished, then it ends with 0.`,
  flags: [{ name: "config", value: "FILE", description: "agent.yaml" }, ...agentFlags, dataDirFlag],
  async run(flags) {
    const file = flags.file("config");
    if (file === undefined) throw new UsageError("--role=agent needs --config FILE, its agent.yaml");
    const options = agentOptions(flags, file);
    const { startAgent } = await import("../agent/supervisor/agent.ts");
    return await runUntilSignalled(() => startAgent(options));
  },
};

export const allRole: Command = {
  name: "--role=all",
  summary: "one control plane and one agent in one process, for a laptop",
  usage: "--role=all --config agent.yaml [--config mesh.yaml] [flags]",
  description:
    `Runs a control plane and an agent that joins it, with a token made on the way. Of the files that --config names,
the one of kind Agent is the agent's.`,
  flags: [
    { name: "config", value: "FILE", repeated: true, description: "agent.yaml, and mesh.yaml where there is one" },
    ...controlPlaneFlags,
    ...agentFlags.filter(({ name }) => name === "workers"),
    dataDirFlag,
  ],
  async run(flags) {
    return await (await import("./all_role.ts")).runAll(flags);
  },
};
