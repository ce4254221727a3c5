/**
 * Active health checks of one cluster. They run in one data thread, the first: it has the connections, TLS contexts and
 * protocols with which requests go out, so that a check goes the same way; all threads read the result in shared memory.
 */
import { type Cluster, Host } from "../balance/cluster.ts";
import type { HealthCheckConfig } from "./config.ts";
import { ActiveHealth, ClusterSlot, HostSlot } from "../config/shared_memory.ts";
import { endEjection } from "../balance/ejection.ts";
import { Timer } from "../worker/timer_wheel.ts";
import { type Check, startCheck } from "./checks.ts";
import { type CheckResult, HealthState } from "./health_state.ts";

export class HealthChecker {
  readonly #sessions = new Map<Host, Session>();

  constructor(private readonly cluster: Cluster, private readonly config: HealthCheckConfig) {}

  /** Checks these hosts and no others; one that stays, and is asked where it was, goes on where it is. */
  setHosts(hosts: Iterable<Host>): void {
    const before = new Map(this.#sessions);
    this.#sessions.clear();
    for (const host of hosts) {
      if (host.config.healthCheck?.disabled) continue;
      const session = before.get(host);
      if (session?.asksPort === portOf(host, this.config)) {
        before.delete(host);
        this.#sessions.set(host, session);
      } else this.#sessions.set(host, new Session(this.cluster, host, this.config));
    }
    for (const session of before.values()) session.stop();
  }

  stop(): void {
    this.setHosts([]);
  }
}

/** The checks of one host, one after the other. */
class Session {
  readonly #state: HealthState;
  /** Until the next check, or until the present one has taken too long. */
  readonly #timer: Timer;
  /** The host itself, or the same one at the port at which it is asked. */
  readonly #checked: Host;
  #check: Check | null = null;

  constructor(
    private readonly cluster: Cluster,
    private readonly host: Host,
    private readonly config: HealthCheckConfig,
  ) {
    const known = Atomics.load(cluster.shared, host.slot + HostSlot.activeHealth);
    this.#checked = checkedHost(host, config);
    this.#state = new HealthState(config, known === ActiveHealth.healthy);
    this.#timer = new Timer(() => this.#check === null ? this.#start() : this.#onTimeout());
    cluster.thread.loop.setTimer(this.#timer, Math.random() * config.initialJitter);
  }

  get asksPort(): number {
    return this.#checked.config.port;
  }

  stop(): void {
    this.cluster.thread.loop.clearTimer(this.#timer);
    this.#check?.cancel();
    this.#check = null;
    if (this.#checked !== this.host) this.#checked.pool.drain();
  }

  #start(): void {
    this.cluster.thread.loop.setTimer(this.#timer, this.config.timeout);
    let finished = false;
    const check = startCheck(this.#checked, this.config, (result) => {
      finished = true;
      this.#check = null;
      this.#onResult(result);
    });
    if (!finished) this.#check = check;
  }

  #onTimeout(): void {
    const check = this.#check;
    this.#check = null;
    check?.cancel();
    this.#onResult("unreachable");
  }

  #onResult(result: CheckResult): void {
    const changed = this.#state.take(result);
    if (result === "passed") endEjection(this.cluster, this.host);
    if (changed) this.#publish();
    this.cluster.thread.loop.setTimer(this.#timer, this.#interval(result, changed));
  }

  #publish(): void {
    const { shared, config, thread } = this.cluster;
    const { healthy } = this.#state;
    const value = healthy ? ActiveHealth.healthy : ActiveHealth.unhealthy;
    Atomics.store(shared, this.host.slot + HostSlot.activeHealth, value);
    Atomics.add(shared, config.slot + ClusterSlot.healthVersion, 1);
    const message = healthy ? "endpoint passes its health check" : "endpoint fails its health check";
    thread.log(healthy ? "info" : "warn", message, { cluster: config.name, endpoint: this.host.label });
  }

  /** Milliseconds until the next check. */
  #interval(result: CheckResult, changed: boolean): number {
    const { config, cluster } = this;
    const base = () => {
      const traffic = Atomics.load(cluster.shared, cluster.config.slot + ClusterSlot.requests) !== 0;
      if (!traffic) return this.#state.healthy ? config.noTrafficHealthyInterval : config.noTrafficInterval;
      const atEdge = changed || this.#state.atEdge;
      if (result === "passed") return atEdge ? config.healthyEdgeInterval : config.interval;
      return atEdge ? config.unhealthyEdgeInterval : config.unhealthyInterval;
    };
    const interval = base();
    const jitter = config.intervalJitter + interval * config.intervalJitterPercent / 100;
    return interval + Math.random() * jitter;
  }
}

/** Where checks go: an endpoint's own port for them goes before the check's. */
function portOf(host: Host, { port }: HealthCheckConfig): number {
  return host.config.healthCheck?.port || port || host.config.port;
}

/** The host as checks reach it. */
function checkedHost(host: Host, config: HealthCheckConfig): Host {
  const port = portOf(host, config);
  return port === host.config.port ? host : new Host(host.cluster, { ...host.config, port });
}
