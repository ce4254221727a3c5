/** Reads `--config`: the settings of the whole mesh. */
import { logger } from "../log/log.ts";
import { defaultMeshSettings, parseMeshConfig } from "../routing/istio/mesh_config.ts";
import { formatProblem } from "../routing/istio/problem.ts";
import type { MeshSettings } from "../routing/mesh.ts";
import { ControlPlaneError } from "./control_plane_error.ts";

const log = logger("controlplane");

/**
 * @param file mesh.yaml; without one, Istio's defaults hold
 * @throws {ControlPlaneError} `mesh_config`
 */
export async function readMeshSettings(file: string | undefined): Promise<MeshSettings> {
  if (file === undefined) return defaultMeshSettings;
  const text = await Deno.readTextFile(file).catch((cause) => {
    const hint = "name a file that can be read";
    throw new ControlPlaneError("mesh_config", `--config: ${file}: ${cause.message}`, hint, { cause });
  });
  const { settings, problems } = parseMeshConfig(file, text);
  for (const problem of problems) {
    if (problem.severity === "warning") log.warn(formatProblem(problem));
  }
  const errors = problems.filter(({ severity }) => severity === "error").map(formatProblem);
  if (errors.length === 0) return settings;
  const rest = errors.length > 1 ? ` (and ${errors.length - 1} more)` : "";
  throw new ControlPlaneError("mesh_config", `--config: ${errors[0]}${rest}`, "mend the file");
}
