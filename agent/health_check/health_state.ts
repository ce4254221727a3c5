/**
 * What the results of active health checks make of a host, as in Envoy
 * (https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/health_checking): the first success is
 * enough, an answer that says no counts at once, silence and broken connections count up.
 */

/** `passed`; `refused`: an answer that says no; `unreachable`: none came, or one that may be tried again. */
export type CheckResult = "passed" | "refused" | "unreachable";

export interface HealthThresholds {
  healthyThreshold: number;
  unhealthyThreshold: number;
}

export class HealthState {
  #healthy: boolean;
  #checked = false;
  /** Results in a row that speak against the present state. */
  #contrary = 0;

  constructor(private readonly thresholds: HealthThresholds, healthy = false) {
    this.#healthy = healthy;
  }

  get healthy(): boolean {
    return this.#healthy;
  }

  /** Results in a row against the present state: it is at the edge of changing. */
  get atEdge(): boolean {
    return this.#contrary > 0;
  }

  /** Takes a result; true when the host's health has changed, or is known for the first time. */
  take(result: CheckResult): boolean {
    const first = !this.#checked;
    this.#checked = true;
    if ((result === "passed") === this.#healthy) {
      this.#contrary = 0;
      return first;
    }
    this.#contrary++;
    const { healthyThreshold, unhealthyThreshold } = this.thresholds;
    const enough = this.#healthy
      ? result === "refused" || this.#contrary >= unhealthyThreshold
      : first || this.#contrary >= healthyThreshold;
    if (!enough) return false;
    this.#healthy = !this.#healthy;
    this.#contrary = 0;
    return true;
  }
}
