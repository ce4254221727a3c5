/** A host is healthy whose answer to one HTTP request has an expected status. */
import type { Host } from "../balance/cluster.ts";
import type { HealthCheckConfig } from "./config.ts";
import type { ResponseHead } from "../decode/head.ts";
import type { CheckResult } from "./health_state.ts";
import { PooledCheck } from "./pooled_check.ts";

type Config = HealthCheckConfig["check"] & { kind: "http" };

export class HttpCheck extends PooledCheck {
  readonly #config: Config;
  #result: CheckResult = "unreachable";

  constructor(host: Host, config: Config, done: (result: CheckResult) => void) {
    super(host, done);
    this.#config = config;
    this.isHead = config.method === "HEAD";
    const authority = config.host || this.defaultAuthority;
    this.head.appendText(`${config.method} ${config.path} HTTP/1.1\r\nhost: ${authority}\r\n${config.headerLines}`);
    this.send();
  }

  onResponseHead({ status }: ResponseHead): boolean {
    const { expectedStatuses, retriableStatuses } = this.#config;
    const within = ({ start, end }: { start: number; end: number }) => status >= start && status < end;
    this.#result = expectedStatuses.some(within)
      ? "passed"
      : retriableStatuses.some(within)
      ? "unreachable"
      : "refused";
    return true;
  }

  protected result(): CheckResult {
    return this.#result;
  }
}
