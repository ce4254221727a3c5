/** What the local servers may see of the agent. */
import type { DataThreads } from "./data_threads.ts";
import type { CertificateSummary } from "./identities.ts";
import type { WorkloadAgent } from "./workload_agent.ts";

export interface AgentView {
  name(): string;
  /** `null` until the data threads run. */
  threads(): DataThreads | null;
  workloads(): WorkloadAgent[];
  certificates(): CertificateSummary[];
  /** Why the agent is not ready; `null`: it is. */
  unready(): string | null;
  /** Lets requests in flight finish and takes no more. */
  drain(): void;
}
