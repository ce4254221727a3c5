/** Watches a directory of Istio resources: what is written there is in force well within a second. */
import { logger } from "../../log/log.ts";
import { formatProblem, hasErrors } from "../../routing/istio/parse.ts";
import type { Resource } from "../../routing/istio/types.ts";
import { ControlPlaneError } from "../control_plane_error.ts";
import { type DirectoryContent, ResourceFiles } from "./resource_files.ts";

export interface DirectoryOptions {
  directory: string;
  /** Resources of an earlier run, for files that cannot be used now. */
  lastGood?: Resource[];
  /** Called after every change of resources or problems, one call after the other. */
  onChange(content: DirectoryContent): void | Promise<void>;
  /** Milliseconds between two full looks, for what the watcher misses; 2 s by default. */
  rescanInterval?: number;
}

export interface Directory {
  readonly content: DirectoryContent;
  close(): Promise<void>;
}

const log = logger("discovery");
/** Milliseconds of quiet after which a burst of events is taken for complete: an editor's rename, a `git checkout`. */
const quiet = 50;
/** Milliseconds after which events that never stop are acted upon. */
const longestWait = 300;
/** Milliseconds that a file may be found empty, for programs that empty it before they write it. */
const settleTime = 250;

/**
 * Reads the directory, and follows it until {@link Directory.close}.
 *
 * @throws {ControlPlaneError} `config_dir` when it cannot be read now; later on that is a problem and the last content stays
 */
export async function watchDirectory(options: DirectoryOptions): Promise<Directory> {
  const { directory, rescanInterval = 2000 } = options;
  await checkReadable(directory);
  const files = new ResourceFiles(directory, options.lastGood);
  let timer: ReturnType<typeof setTimeout> | undefined;
  let firstEvent = 0;
  let closed = false;
  let working = Promise.resolve();
  let reported = new Set<string>();

  const scan = async () => {
    const { changed, unsettled } = await files.scan();
    if (unsettled) schedule(settleTime);
    if (!changed || closed) return;
    reported = report(files.content, reported);
    await options.onChange(files.content);
  };
  const schedule = (delay: number) => {
    if (closed) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      firstEvent = 0;
      working = working.then(scan).catch((error) => {
        log.error("a change of the directory was not taken over", { directory, reason: String(error) });
      });
    }, delay);
  };

  const watcher = watch(directory);
  await scan();
  const following = follow(watcher, () => {
    firstEvent ||= performance.now();
    schedule(Math.max(0, Math.min(quiet, firstEvent + longestWait - performance.now())));
  });
  const rescan = setInterval(() => schedule(0), rescanInterval);
  return {
    get content() {
      return files.content;
    },
    async close() {
      closed = true;
      clearInterval(rescan);
      clearTimeout(timer);
      watcher?.close();
      await following;
      await working;
    },
  };
}

async function checkReadable(directory: string): Promise<void> {
  try {
    await Array.fromAsync(Deno.readDir(directory));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `--config-dir: ${directory} cannot be read as a directory: ${reason}`;
    throw new ControlPlaneError("config_dir", message, "name a directory that can be read", { cause });
  }
}

/** `null` where the kernel has no watch left to give: the periodic look then does all the work. */
function watch(directory: string): Deno.FsWatcher | null {
  try {
    return Deno.watchFs(directory, { recursive: true });
  } catch (error) {
    log.warn("the directory cannot be watched; it is looked at every few seconds", {
      directory,
      reason: String(error),
    });
    return null;
  }
}

async function follow(watcher: Deno.FsWatcher | null, changed: () => void): Promise<void> {
  if (watcher === null) return;
  try {
    for await (const event of watcher) {
      if (event.kind !== "access") changed();
    }
  } catch (error) {
    log.warn("the watch of the directory has ended; it is looked at every few seconds", { reason: String(error) });
  }
}

/** Logs the problems that are new, and that all are gone. */
function report({ resources, problems }: DirectoryContent, before: Set<string>): Set<string> {
  const lines = new Set(problems.map(formatProblem));
  for (const problem of problems) {
    const text = formatProblem(problem);
    if (before.has(text)) continue;
    log[problem.severity === "error" ? "error" : "warn"](text);
  }
  log.info(
    hasErrors(problems) ? "configuration read; files with errors keep their last good content" : "configuration read",
    { resources: resources.length, problems: problems.length },
  );
  return lines;
}
