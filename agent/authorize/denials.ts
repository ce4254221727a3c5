/** What the agent's log says of denials: those by rules that are not in force, and what rules on trial would deny. */
import type { Verdict } from "../../routing/authorize/judge.ts";
import { UNENFORCED } from "../../routing/authorize/unenforced.ts";
import type { DownstreamLink } from "../downstream_stream.ts";
import type { DataThread } from "../worker/thread.ts";

/** One policy is told of this often at most, milliseconds. */
const interval = 60_000;
/** Policies that are remembered; with more, the log repeats itself. */
const mostRemembered = 1000;

const told = new Map<string, number>();

/** A denial by a policy that asks for what this version does not do must not be a riddle. */
export function tellDenial(thread: DataThread, link: DownstreamLink, { policy }: Verdict): void {
  if (!policy.includes(UNENFORCED) || !isDue(thread, policy)) return;
  thread.log("warn", "denied, because the policy asks for what this version does not enforce", {
    policy,
    workload: link.chain.proxy.description.proxy,
    from: link.peer.principal || link.peer.remoteAddress,
  });
}

export function tellShadow(thread: DataThread, link: DownstreamLink, { allowed, policy }: Verdict): void {
  if (allowed || !isDue(thread, `dry run ${policy} ${link.chain.proxy.description.proxy}`)) return;
  thread.log("info", "a policy that is tried out would have denied this", {
    policy,
    workload: link.chain.proxy.description.proxy,
    from: link.peer.principal || link.peer.remoteAddress,
  });
}

function isDue(thread: DataThread, key: string): boolean {
  const { now } = thread.loop;
  const last = told.get(key);
  if (last !== undefined && now - last < interval) return false;
  if (told.size >= mostRemembered) told.clear();
  told.set(key, now);
  return true;
}
