/** `--role=all`: a control plane and an agent that joins it, in one process. */
import { join } from "node:path";
import { parseDocument } from "yaml";
import { parseAgentFile } from "../agent/supervisor/agent_file.ts";
import { startAgent } from "../agent/supervisor/agent.ts";
import { formatProblem } from "../routing/istio/problem.ts";
import type { FlagValues } from "./flag_values.ts";
import { startControlPlaneRole } from "./control_plane_role.ts";
import { agentOptions, controlPlaneOptions } from "./role_options.ts";
import { type Running, runUntilSignalled } from "./signals.ts";
import { makeToken } from "./make_token.ts";
import { UsageError } from "./usage_error.ts";

/** The token is used at once. */
const tokenLifetime = 10 * 60_000;

/** @throws {UsageError} when `--config` does not name exactly one agent.yaml and at most one mesh.yaml. */
export async function runAll(flags: FlagValues): Promise<number> {
  const files = flags.files("config");
  const agentFiles = files.filter(isAgentFile);
  const meshFiles = files.filter((file) => !isAgentFile(file));
  if (agentFiles.length !== 1 || meshFiles.length > 1) {
    throw new UsageError("--role=all needs --config with one file of kind Agent, and takes one mesh.yaml beside it");
  }
  const identities = serviceAccounts(agentFiles[0]);
  const controlPlane = controlPlaneOptions(flags, meshFiles[0]);
  const agent = agentOptions(flags, agentFiles[0]);
  return await runUntilSignalled(async (): Promise<Running> => {
    const serving = await startControlPlaneRole(controlPlane);
    try {
      const token = await makeToken(controlPlane.dataDir, { identities, uses: 1, ttl: tokenLifetime });
      const proxying = await startAgent({ ...agent, dataDir: join(controlPlane.dataDir, "agent"), token });
      return {
        async stop() {
          await proxying.stop();
          await serving.stop();
        },
      };
    } catch (error) {
      await serving.stop();
      throw error;
    }
  });
}

function isAgentFile(file: string): boolean {
  return parseDocument(Deno.readTextFileSync(file)).get("kind") === "Agent";
}

function serviceAccounts(file: string): string[] {
  const { agent, problems } = parseAgentFile(file, Deno.readTextFileSync(file));
  if (agent === undefined) throw new UsageError(problems.map(formatProblem).join("; "));
  const nodes = [...agent.workloads, ...(agent.gateway === null ? [] : [agent.gateway])];
  return [...new Set(nodes.map(({ namespace, serviceAccount }) => `${namespace}/${serviceAccount}`))];
}
