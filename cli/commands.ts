/** Every command and role of this version, in the order of help. */
import { envoyBootstrapCommand, grpcBootstrapCommand } from "./bootstrap.ts";
import type { Command } from "./command.ts";
import { analyzeCommand } from "./analyze.ts";
import { proxyConfigCommands } from "./proxy_config.ts";
import { proxyStatusCommand } from "./proxy_status.ts";
import { agentRole, allRole, controlPlaneRole } from "./roles.ts";
import { tokenCreateCommand } from "./token_create.ts";
import { UsageError } from "./usage_error.ts";
import { versionCommand } from "./version.ts";

const validateEntry: Command = {
  name: "validate",
  summary: "check Istio YAML offline",
  usage: "validate -f FILE|DIR [-f …]",
  description: `Checks resources without a control plane and prints one line per finding:
  FILE:LINE:COLUMN: error|warning: KIND/NAMESPACE/NAME: field.path: message
Exit codes: 0 valid, 1 invalid, 2 unreadable.`,
  flags: [{ name: "file", short: "f", value: "FILE|DIR", repeated: true, description: "what to check" }],
  async run(flags) {
    if (!flags.has("file")) throw new UsageError("validate needs at least one -f FILE|DIR");
    const { validateCommand } = await import("./validate.ts");
    return validateCommand(flags.texts("file"));
  },
};

export const commands: Command[] = [
  tokenCreateCommand,
  validateEntry,
  analyzeCommand,
  proxyStatusCommand,
  ...proxyConfigCommands,
  envoyBootstrapCommand,
  grpcBootstrapCommand,
  versionCommand,
];

export const roles: Command[] = [controlPlaneRole, agentRole, allRole];

/** Commands of later versions: known, so that the message can say so. */
export const laterCommands = ["apply", "get", "delete", "describe"];
