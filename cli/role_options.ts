/** From flags to what the roles are started with. */
import type { AgentOptions } from "../agent/supervisor/agent.ts";
import type { ControlPlaneOptions } from "../controlplane/control_plane.ts";
import { hostNames } from "./advertise.ts";
import { dataDirOf } from "./data_dir.ts";
import type { FlagValues } from "./flag_values.ts";
import { tokenOf } from "./join_token_flags.ts";
import { UsageError } from "./usage_error.ts";

export function controlPlaneOptions(flags: FlagValues, meshConfigFile: string | undefined): ControlPlaneOptions {
  if (flags.has("ca-dir")) throw new UsageError("--ca-dir: a plug-in CA is not in this version; leave it out");
  const xdsListen = flags.address("xds-listen") ?? { host: "0.0.0.0", port: 15_012 };
  const advertise = flags.list("advertise");
  return {
    meshConfigFile,
    configDir: flags.directory("config-dir"),
    dataDir: dataDirOf(flags),
    xdsListen,
    joinListen: flags.address("join-listen") ?? { host: "0.0.0.0", port: 15_011 },
    httpListen: flags.address("http-listen") ?? { host: "127.0.0.1", port: 15_014 },
    advertise: advertise.length > 0 ? advertise : hostNames(xdsListen.host),
    store: flags.text("store") ?? "sqlite",
    workloadCertificateTtl: flags.duration("workload-cert-ttl"),
  };
}

export function agentOptions(flags: FlagValues, configFile: string): AgentOptions {
  return {
    configFile,
    dataDir: dataDirOf(flags),
    token: tokenOf(flags),
    workers: flags.count("workers", 256) ?? navigator.hardwareConcurrency,
  };
}
