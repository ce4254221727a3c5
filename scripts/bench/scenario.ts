/** What is measured, and what a proxy's configuration needs to know for it. */
import type { Certificates } from "./certificates.ts";
import type { Program } from "./processes.ts";

export type ScenarioName = "plaintext" | "tls" | "mesh";

export const scenarios: Record<ScenarioName, { letter: string; title: string; client: "http" | "https" }> = {
  plaintext: { letter: "a", title: "one plaintext hop", client: "http" },
  tls: { letter: "b", title: "TLS 1.3 termination", client: "https" },
  mesh: { letter: "c", title: "plaintext in, mutual TLS 1.3 between two proxies, plaintext out", client: "http" },
};

/** Everything a proxy under test is told. */
export interface Setting {
  scenario: ScenarioName;
  /** For configuration files. */
  folder: string;
  certificates: Certificates;
  /** Loopback ports: where load comes in, between two proxies (mesh), and of the application. */
  ports: { front: number; between: number; application: number };
}

/** A kind of proxy: starts the one or two programs that a scenario needs. */
export interface Contestant {
  name: string;
  start(setting: Setting): Promise<Program[]>;
}
