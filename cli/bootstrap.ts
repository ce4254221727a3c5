/** `skiff envoy-bootstrap`, `skiff grpc-bootstrap`: a stock Envoy or a proxyless gRPC client joins the mesh. */
import type { Software } from "../agent/bootstrap/bootstrap.ts";
import type { Command } from "./command.ts";
import { dataDirFlag, dataDirOf } from "./data_dir.ts";
import type { FlagValues } from "./flag_values.ts";
import type { Flag } from "./flags.ts";
import { tokenFlags, tokenOf } from "./join_token_flags.ts";
import { runUntilSignalled } from "./signals.ts";
import { UsageError } from "./usage_error.ts";

const flags: Flag[] = [
  { name: "config", value: "FILE", description: "agent.yaml of the machine" },
  {
    name: "workload",
    value: "NS/SERVICE",
    description: "which workload of the file; needed where it has several",
  },
  ...tokenFlags,
  {
    name: "attend",
    value: "yes|no",
    description: "yes: prints nothing, and stays beside the program until it is ended; default no",
  },
  dataDirFlag,
];

const protocols = ["delta", "state-of-the-world"] as const;

export const envoyBootstrapCommand: Command = {
  name: "envoy-bootstrap",
  summary: "have a stock Envoy join the mesh: prints its bootstrap",
  usage: "envoy-bootstrap --config agent.yaml [--workload NS/SERVICE] [--token TOKEN] [flags] > envoy.json",
  description:
    `Prints the bootstrap with which a stock Envoy serves a workload of agent.yaml in the place of skiff's agent: joins with
the token where there is no certificate yet, and writes the files that the bootstrap names. The certificate and its key
stay below the data directory, readable by this user alone.

Run the same command with --attend yes beside Envoy (a systemd unit of its own): it renews the certificate in time, and
Envoy takes the new one without a restart.`,
  flags: [
    ...flags,
    { name: "protocol", value: "VARIANT", description: "of ADS: delta or state-of-the-world; default delta" },
  ],
  run: (values) => join(values, { kind: "envoy", protocol: values.choice("protocol", protocols) ?? "delta" }),
};

export const grpcBootstrapCommand: Command = {
  name: "grpc-bootstrap",
  summary: "have a proxyless gRPC client join the mesh: prints its bootstrap",
  usage: "grpc-bootstrap --config agent.yaml [--workload NS/SERVICE] [--token TOKEN] [flags] > grpc.json",
  description:
    `Prints the file that GRPC_XDS_BOOTSTRAP names, with which a gRPC client resolves xds:///HOST:PORT by itself: joins with
the token where there is no certificate yet.

Run the same command with --attend yes beside the client: it is the client's way to the control plane, a Unix socket that
only this user may open, since not every gRPC library can show a certificate there.`,
  flags,
  run: (values) => join(values, { kind: "grpc" }),
};

async function join(values: FlagValues, software: Software): Promise<number> {
  const configFile = values.file("config");
  if (configFile === undefined) throw new UsageError(`${software.kind}-bootstrap needs --config FILE, an agent.yaml`);
  const { joinWorkload } = await import("../agent/bootstrap/bootstrap.ts");
  const start = () =>
    joinWorkload({
      configFile,
      dataDir: dataDirOf(values),
      token: tokenOf(values),
      workload: values.text("workload"),
      software,
    });
  if (values.choice("attend", ["yes", "no"] as const) === "yes") {
    return await runUntilSignalled(async () => (await start()).attend());
  }
  const workload = await start();
  console.log(JSON.stringify(workload.bootstrap, null, 2));
  workload.stop();
  return 0;
}
