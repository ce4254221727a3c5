/** How a role ends: SIGTERM and SIGINT drain it, a second one ends it at once. */
import { logger } from "../log/log.ts";

const log = logger("skiff");
const signalNumbers = { SIGINT: 2, SIGTERM: 15 };

/** What a running role can be told. */
export interface Running {
  stop(): Promise<void>;
}

/**
 * Starts a role and runs it until a signal has stopped it.
 *
 * A signal that comes while it is still starting ends the process at once, with 0: nothing has been served yet.
 * @returns exit code 0, after a complete stop.
 */
export async function runUntilSignalled(start: () => Promise<Running>): Promise<number> {
  const stopping = Promise.withResolvers<void>();
  let running: Running | null = null;
  let signals = 0;
  for (const [name, number] of Object.entries(signalNumbers) as [keyof typeof signalNumbers, number][]) {
    Deno.addSignalListener(name, () => {
      signals++;
      if (running === null) Deno.exit(0);
      if (signals > 1) Deno.exit(128 + number);
      log.info("stopping: requests under way are finished first; a second signal ends at once", { signal: name });
      stopping.resolve();
    });
  }
  running = await start();
  await stopping.promise;
  await running.stop();
  return 0;
}
