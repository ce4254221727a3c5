/** DNS for local applications: one server on each address by which a workload reaches the mesh. */
import { logger } from "../../log/log.ts";
import { reasonOf } from "../discovery/reason.ts";
import { Answerer } from "../dns/answer.ts";
import type { NameTable } from "../dns/name_table.ts";
import { DnsServer } from "../dns/server.ts";

/** A server that there shall be. */
export interface LocalNames {
  address: string;
  port: number;
  names(): NameTable;
}

const log = logger("dns");

export class LocalDns {
  readonly #forward: (query: Uint8Array) => Promise<Uint8Array>;
  readonly #servers = new Map<string, { server: DnsServer; wanted: LocalNames }>();

  /** @param forward passes on what is no name of the mesh */
  constructor(forward: (query: Uint8Array) => Promise<Uint8Array>) {
    this.#forward = forward;
  }

  /** Starts and stops servers so that they are these. One that cannot be started is told: everything else goes on. */
  async set(wanted: LocalNames[]): Promise<void> {
    const byAddress = new Map(wanted.map((one) => [`${one.address} ${one.port}`, one]));
    for (const [key, { server }] of this.#servers) {
      if (byAddress.has(key)) continue;
      server.stop();
      this.#servers.delete(key);
    }
    for (const [key, one] of byAddress) {
      const running = this.#servers.get(key);
      if (running !== undefined) running.wanted = one;
      else await this.#start(key, one);
    }
  }

  /** Where the servers are. */
  get addresses(): { address: string; port: number }[] {
    return [...this.#servers.values()].map(({ server: { address, port } }) => ({ address, port }));
  }

  stop(): void {
    for (const { server } of this.#servers.values()) server.stop();
    this.#servers.clear();
  }

  async #start(key: string, wanted: LocalNames): Promise<void> {
    const { address, port } = wanted;
    const names = () => this.#servers.get(key)?.wanted.names() ?? wanted.names();
    try {
      const server = await DnsServer.start(address, port, new Answerer({ names, forward: this.#forward }));
      this.#servers.set(key, { server, wanted });
    } catch (error) {
      log.error("no DNS for local applications", {
        address: `${address}:${port}`,
        reason: reasonOf(error),
        hint: "free that port, or choose another as spec.ports.dns",
      });
    }
  }
}
