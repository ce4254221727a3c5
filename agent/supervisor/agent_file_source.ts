/** agent.yaml on disk: read at start, and again on SIGHUP and whenever it changes. */
import { basename, dirname } from "node:path";
import { logger } from "../../log/log.ts";
import { formatProblem } from "../../routing/istio/problem.ts";
import { reasonOf } from "../discovery/reason.ts";
import { type AgentFile, parseAgentFile } from "./agent_file.ts";
import { AgentStartError } from "./agent_start_error.ts";

const log = logger("agent");
/** Editors write a file in several steps. */
const settleTime = 200;

/** Reads the file; warnings go to the log. Throws {@link AgentStartError} with everything that is wrong with it. */
export async function readAgentFile(path: string): Promise<AgentFile> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (cause) {
    throw new AgentStartError(`cannot read ${path}: ${reasonOf(cause)}`, "name an agent.yaml with --config", { cause });
  }
  const { agent, problems } = parseAgentFile(path, text);
  if (agent === undefined) {
    const errors = problems.filter((problem) => problem.severity === "error");
    throw new AgentStartError(
      errors.map(formatProblem).join("\n"),
      "correct the file; skiff validate checks it offline",
    );
  }
  for (const problem of problems) log.warn(formatProblem(problem));
  return agent;
}

/** Calls `changed` on SIGHUP and after the file has changed. Returns what ends the watch. */
export function watchAgentFile(path: string, changed: () => void): () => void {
  // The folder is watched, for a file that is replaced is another file.
  const watcher = Deno.watchFs(dirname(path), { recursive: false });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const watching = (async () => {
    for await (const event of watcher) {
      if (event.kind === "access" || !event.paths.some((one) => basename(one) === basename(path))) continue;
      clearTimeout(timer);
      timer = setTimeout(changed, settleTime);
    }
  })();
  watching.catch((error) => log.error("agent.yaml is no longer watched", { reason: reasonOf(error) }));
  Deno.addSignalListener("SIGHUP", changed);
  return () => {
    Deno.removeSignalListener("SIGHUP", changed);
    clearTimeout(timer);
    watcher.close();
  };
}
