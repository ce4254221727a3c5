/** Readiness of a workload: its application is asked again and again (Istio's ReadinessProbe). */
import { logger } from "../../log/log.ts";
import { checkGrpcHealth } from "./grpc_health.ts";
import { reasonOf } from "../discovery/reason.ts";

const log = logger("probe");

/** What to ask how often. Times are milliseconds. */
export interface Probe {
  check:
    | { kind: "http"; url: string; headers: [string, string][] }
    | { kind: "tcp"; hostname: string; port: number }
    | { kind: "exec"; command: string[] }
    /** `address` is `host:port`; without `service` the server as a whole. */
    | { kind: "grpc"; address: string; service: string };
  initialDelay: number;
  timeout: number;
  period: number;
  /** Consecutive successes that make an unhealthy workload healthy. */
  successThreshold: number;
  /** Consecutive failures that make a healthy workload unhealthy. */
  failureThreshold: number;
}

/** Counts successes and failures in a row; pure, so that thresholds can be tested without waiting. */
export class HealthState {
  #healthy: boolean | null = null;
  #streak = 0;
  #last: boolean | null = null;

  constructor(private readonly successThreshold: number, private readonly failureThreshold: number) {}

  /** Takes a result; returns the new state when it has changed, else `null`. */
  take(success: boolean): boolean | null {
    this.#streak = this.#last === success ? this.#streak + 1 : 1;
    this.#last = success;
    const threshold = success ? this.successThreshold : this.failureThreshold;
    if (this.#healthy === success || this.#streak < threshold) return null;
    this.#healthy = success;
    return success;
  }
}

/** Asks until it is stopped and tells every change of state. */
export class Prober {
  readonly #state: HealthState;
  readonly #stop = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(
    readonly workload: string,
    readonly probe: Probe,
    readonly changed: (healthy: boolean, message: string) => void,
  ) {
    this.#state = new HealthState(probe.successThreshold, probe.failureThreshold);
    this.#timer = setTimeout(() => this.#turn(), probe.initialDelay);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#timer);
    await this.#running;
  }

  #turn(): void {
    this.#running = this.#ask().then((failure) => {
      if (this.#stop.signal.aborted) return;
      const now = this.#state.take(failure === null);
      if (now !== null) {
        log[now ? "info" : "warn"](now ? "workload is ready" : "workload is not ready", {
          workload: this.workload,
          reason: failure ?? undefined,
        });
        this.changed(now, failure ?? "");
      }
      this.#timer = setTimeout(() => this.#turn(), this.probe.period);
    });
  }

  /** Why the check failed; `null`: it did not. */
  async #ask(): Promise<string | null> {
    const { check, timeout } = this.probe;
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(timeout)]);
    try {
      if (check.kind === "tcp") {
        (await Deno.connect({ hostname: check.hostname, port: check.port, signal })).close();
        return null;
      }
      if (check.kind === "grpc") return await checkGrpcHealth(check.address, check.service, signal);
      if (check.kind === "exec") {
        const [program, ...args] = check.command;
        const { code } = await new Deno.Command(program, { args, signal, stdout: "null", stderr: "null" }).output();
        return code === 0 ? null : `${program}: exit code ${code}`;
      }
      const response = await fetch(check.url, { headers: check.headers, signal, redirect: "manual" });
      await response.body?.cancel();
      // The kubelet's rule, which Istio's agent follows: 200 to 399 is success.
      return response.status >= 200 && response.status < 400 ? null : `GET ${check.url}: ${response.status}`;
    } catch (error) {
      return reasonOf(error);
    }
  }
}
