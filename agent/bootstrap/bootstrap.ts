/** Has software other than skiff's agent join the mesh in the place of a workload of an agent.yaml. */
import { join, resolve } from "node:path";
import type { JsonObject } from "@bufbuild/protobuf";
import type { WorkloadNode } from "../../routing/xds/node.ts";
import { logger } from "../../log/log.ts";
import type { AgentFile } from "../supervisor/agent_file.ts";
import { readAgentFile } from "../supervisor/agent_file_source.ts";
import { AgentStartError } from "../supervisor/agent_start_error.ts";
import { Identities } from "../supervisor/identities.ts";
import { agentAddress, planWorkloads } from "../supervisor/plan.ts";
import { trustTheMeshAlone } from "../supervisor/trusted_roots.ts";
import type { WorkloadPlan } from "../supervisor/workload_agent.ts";
import { envoyBootstrap, type EnvoyProtocol } from "./envoy_bootstrap.ts";
import { grpcBootstrap } from "./grpc_bootstrap.ts";
import { secretPaths, writeIdentity, writeSecretResources } from "./secret_files.ts";
import { startXdsRelay } from "./xds_relay.ts";

export type Software = { kind: "envoy"; protocol: EnvoyProtocol } | { kind: "grpc" };

export interface BootstrapOptions {
  /** agent.yaml */
  configFile: string;
  dataDir: string;
  /** Needed while there is no certificate. */
  token?: string;
  /** `NAMESPACE/SERVICE`; needed where the file has several workloads. */
  workload?: string;
  software: Software;
}

/** A workload whose files are in place. */
export interface JoinedWorkload {
  /** What the software is started with. */
  bootstrap: JsonObject;
  /** Keeps the certificate fresh, and the way to the control plane open, until it is told to stop. */
  attend(): { stop(): Promise<void> };
  /** Ends renewals. */
  stop(): void;
}

const log = logger("bootstrap");

/**
 * Makes sure that the workload has a certificate, writes it where the software finds it, and makes the bootstrap.
 *
 * @throws {AgentStartError} when the file, the workload or the token is no good
 */
export async function joinWorkload(options: BootstrapOptions): Promise<JoinedWorkload> {
  const { configFile, dataDir, token, software } = options;
  trustTheMeshAlone();
  const file = await readAgentFile(configFile);
  const plan = choose(planWorkloads(file, await agentAddress(file)), options.workload);
  const identities = new Identities(dataDir);
  identities.useControlPlanes(controlPlanesOf(file));
  try {
    await identities.ensure([plan.identity], token);
    const directory = resolve(join(dataDir, software.kind, plan.identity));
    const credentialDirectory = resolve(join(dataDir, "credentials"));
    return software.kind === "envoy"
      ? await envoyWorkload(file, plan, identities, { directory, credentialDirectory }, software.protocol)
      : await grpcWorkload(plan, identities, directory);
  } catch (error) {
    identities.stop();
    throw error;
  }
}

async function envoyWorkload(
  file: AgentFile,
  plan: WorkloadPlan,
  identities: Identities,
  { directory, credentialDirectory }: { directory: string; credentialDirectory: string },
  protocol: EnvoyProtocol,
): Promise<JoinedWorkload> {
  const node: WorkloadNode = {
    ...plan.node,
    software: { kind: "envoy", secretDirectory: directory, credentialDirectory },
  };
  const secrets = secretPaths(directory);
  const write = () => writeIdentity(secrets, identities.of(plan.identity));
  await write();
  await writeSecretResources(secrets, node);
  const admin = { address: file.localAddress, port: file.ports.admin };
  return {
    bootstrap: envoyBootstrap({ node, secrets, controlPlanes: identities.controlPlanes, admin, protocol }),
    attend() {
      let writing = Promise.resolve();
      identities.onChange(() => {
        writing = writing.then(write).catch((error) => {
          log.error("a renewed certificate could not be written", { directory, reason: String(error) });
        });
      });
      return {
        async stop() {
          identities.stop();
          await writing;
        },
      };
    },
    stop: () => identities.stop(),
  };
}

async function grpcWorkload(
  { node, identity }: WorkloadPlan,
  identities: Identities,
  directory: string,
): Promise<JoinedWorkload> {
  await Deno.mkdir(directory, { recursive: true, mode: 0o700 });
  const socket = join(directory, "xds.sock");
  return {
    // It calls, and nobody calls it.
    bootstrap: grpcBootstrap({ ...node, service: "", ports: [], httpProxy: null, software: { kind: "grpc" } }, socket),
    attend() {
      const relay = startXdsRelay(socket, identities.controlPlanes, () => identities.of(identity));
      return {
        async stop() {
          identities.stop();
          await relay.close();
        },
      };
    },
    stop: () => identities.stop(),
  };
}

function controlPlanesOf({ controlPlane: { host, port } }: AgentFile): string[] {
  return [host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`];
}

function choose(plans: WorkloadPlan[], wanted: string | undefined): WorkloadPlan {
  const names = plans.map(({ node }) => `${node.namespace}/${node.service === "" ? node.workload : node.service}`);
  if (wanted === undefined && plans.length === 1) return plans[0];
  const chosen = wanted === undefined ? -1 : names.indexOf(wanted);
  if (chosen >= 0) return plans[chosen];
  const found = wanted === undefined ? "the file has several workloads" : `the file has no workload ${wanted}`;
  throw new AgentStartError(found, `name one by --workload: ${names.join(", ")}`);
}
