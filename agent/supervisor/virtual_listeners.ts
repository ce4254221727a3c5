/** Listeners on services' loopback addresses: those that cannot be bound are told and left out, and cost no others. */
import { logger } from "../../log/log.ts";
import type { ListenerConfig } from "../config/model.ts";
import type { Change } from "../discovery/make_before_break.ts";
import { reasonOf } from "../discovery/reason.ts";

const log = logger("agent");

export class VirtualListeners {
  readonly #workload: string;
  readonly #bound = new Set<string>();
  /** By name, those that could not be bound. */
  readonly #unbound = new Map<string, ListenerConfig>();

  constructor(workload: string) {
    this.#workload = workload;
  }

  /** Addresses that no name may lead to: whoever has the port there is not the service. */
  get unbound(): ReadonlySet<string> {
    return new Set([...this.#unbound.values()].map(({ address }) => address));
  }

  /** Those that could not be bound before and can be now. */
  retry(): ListenerConfig[] {
    return [...this.#unbound.values()].filter((listener) => this.#mayBind(listener));
  }

  /**
   * The change without the listeners that cannot be bound. Data threads share ports with each other, so that another
   * agent with the same addresses would get some of this one's callers: a port must be free when it is first taken.
   */
  admit(change: Change): Change {
    for (const name of change.removedListeners) {
      this.#bound.delete(name);
      this.#unbound.delete(name);
    }
    const listeners = change.listeners.filter((listener) => listener.service === undefined || this.#mayBind(listener));
    return { ...change, listeners };
  }

  #mayBind(listener: ListenerConfig): boolean {
    const { name, address, port, service } = listener;
    if (this.#bound.has(name)) return true;
    try {
      Deno.listen({ hostname: address, port }).close();
    } catch (error) {
      if (!this.#unbound.has(name)) {
        log.warn("no listener for a service; it is reached through the HTTP proxy port alone", {
          workload: this.#workload,
          service,
          address: `${address}:${port}`,
          reason: reasonOf(error),
          hint: "end what listens there, or give this agent a spec.vipRange of its own",
        });
      }
      this.#unbound.set(name, listener);
      return false;
    }
    this.#unbound.delete(name);
    this.#bound.add(name);
    return true;
  }
}
