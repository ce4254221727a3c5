/** Single checks of a host. */
import type { Host } from "../balance/cluster.ts";
import type { HealthCheckConfig } from "./config.ts";
import { GrpcCheck } from "./grpc_check.ts";
import type { CheckResult } from "./health_state.ts";
import { HttpCheck } from "./http_check.ts";
import { TcpCheck } from "./tcp_check.ts";

/** A check under way; `done` is called once, unless it is cancelled. */
export interface Check {
  cancel(): void;
}

/** @param done may be called before this returns */
export function startCheck(host: Host, config: HealthCheckConfig, done: (result: CheckResult) => void): Check {
  const { check } = config;
  switch (check.kind) {
    case "http":
      return new HttpCheck(host, check, done);
    case "grpc":
      return new GrpcCheck(host, check, config.timeout, done);
    case "tcp":
      return new TcpCheck(host, check, done);
  }
}
