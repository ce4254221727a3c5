/** What a scenario is, and what proxies are told for it. */
import type { Bench } from "./bench_run.ts";
import type { Certificates } from "./certificates.ts";
import type { Program } from "./processes.ts";

/** One row of the benchmark: what proxies do, and how it is measured. */
export interface Scenario {
  /** For `--only`. */
  letter: string;
  title: string;
  run(bench: Bench, scenario: Scenario): Promise<void>;
}

/** What the one or two proxies of a contestant do. */
export interface Work {
  /**
   * `http`: requests to an application that speaks HTTP/1.1; `grpc`: to one that speaks HTTP/2 without TLS; `tcp`: bytes
   * that nobody looks at.
   */
  protocol: "http" | "grpc" | "tcp";
  /** What callers speak. With `tls` they choose HTTP/2 or HTTP/1.1 by ALPN; `mutual`: they show certificates as well. */
  callers: "plaintext" | "tls" | "mutual";
  /** Two: plaintext in, mutual TLS between them, plaintext out. */
  proxies: 1 | 2;
  /** Of two: they are one agent's, where a contestant has such. */
  oneAgent?: boolean;
  /** Data threads of each proxy. */
  threads?: number;
}

/** Everything a proxy under test is told. */
export interface Setting extends Work {
  /** For configuration files. */
  folder: string;
  certificates: Certificates;
  /** Loopback ports: where load comes in, between two proxies, and of the application. */
  ports: { front: number; between: number; application: number };
}

/** A kind of proxy: starts the one or two programs that a piece of work needs. */
export interface Contestant {
  name: string;
  /** Why it cannot do this work here; `null`: it can. */
  unable?(setting: Setting): string | null;
  start(setting: Setting): Promise<Program[]>;
}
