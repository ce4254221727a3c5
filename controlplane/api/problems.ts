/** All that is not in force as it was written, from whoever found it, in one form. */
import type { CompileWarning } from "../../routing/compile/warning.ts";
import { distinctWarnings } from "../../routing/compile/warning.ts";
import type { Problem } from "../../routing/istio/problem.ts";
import type { Conflict } from "../registry/published_hosts.ts";
import type { ReportedProblem } from "./app.ts";

export function reportedProblems(
  files: Problem[],
  conflicts: Conflict[],
  warnings: CompileWarning[],
): ReportedProblem[] {
  return [
    ...files,
    ...conflicts.map((conflict) => ({ severity: "error" as const, ...conflict })),
    ...distinctWarnings(warnings).map(({ field, ...rest }) => ({ severity: "warning" as const, ...rest, path: field })),
  ];
}
