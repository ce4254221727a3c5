/** Carries out what the main thread says: keeps the proxies, addresses and filter chains of one data thread. */
import { FilterChain, successorOf } from "../accept/filter_chain.ts";
import { ListeningAddress } from "../accept/listening_address.ts";
import type { ControlMessage, ListenerConfig } from "../config/model.ts";
import { ProxyState } from "./proxy_state.ts";
import type { DataThread } from "./thread.ts";
import { Timer } from "./timer_wheel.ts";

/** A listener of a proxy with its chains, kept while its configuration stays the same. */
interface Listener {
  text: string;
  /** All of it but the filter chains: what they have in common. */
  commonText: string;
  address: string;
  chains: FilterChain[];
}

type Resources = Extract<ControlMessage, { kind: "resources" }>;

export class DataPlane {
  readonly #proxies = new Map<string, ProxyState>();
  /** By proxy, then by name. */
  readonly #listeners = new Map<string, Map<string, Listener>>();
  readonly #drainDeadline: Timer;
  #onDrained: () => void = () => {};

  constructor(private readonly thread: DataThread) {
    this.#drainDeadline = new Timer(() => this.#endDraining());
  }

  /** Applies one message whole; returns what could not be done. */
  apply(message: ControlMessage, onDrained: () => void): string[] {
    switch (message.kind) {
      case "proxy": {
        const { proxy } = message.description;
        const state = this.#proxies.get(proxy);
        if (state === undefined) this.#proxies.set(proxy, new ProxyState(this.thread, message.description));
        else state.describe(message.description);
        return [];
      }
      case "removeProxy":
        return this.#removeProxy(message.proxy);
      case "secret":
        return this.#proxies.get(message.proxy)?.setSecret(message.secret) ?? [unknownProxy(message.proxy)];
      case "removeSecrets":
        this.#proxies.get(message.proxy)?.tls.removeSecrets(message.names);
        return [];
      case "resources":
        return this.#applyResources(message);
      case "drain":
        this.#onDrained = onDrained;
        this.#drain(message.timeout);
        return [];
    }
  }

  #applyResources(message: Resources): string[] {
    const proxy = this.#proxies.get(message.proxy);
    if (proxy === undefined) return [unknownProxy(message.proxy)];
    const errors: string[] = [];
    const attempt = (what: string, action: () => void) => {
      try {
        action();
      } catch (error) {
        errors.push(`${what}: ${error instanceof Error ? error.message : error}`);
      }
    };
    for (const cluster of message.clusters) attempt(`cluster ${cluster.name}`, () => proxy.setCluster(cluster));
    for (const endpoints of message.endpoints) {
      attempt(`endpoints of ${endpoints.cluster}`, () => proxy.setEndpoints(endpoints));
    }
    for (const route of message.routes) attempt(`route ${route.name}`, () => proxy.setRoute(route));
    const listeners = this.#listenersOf(message.proxy);
    const gone: FilterChain[] = [];
    for (const config of message.listeners) {
      attempt(`listener ${config.name}`, () => gone.push(...this.#setListener(proxy, listeners, config)));
    }
    for (const name of message.removedListeners) {
      gone.push(...listeners.get(name)?.chains ?? []);
      listeners.delete(name);
    }
    if (message.listeners.length > 0 || message.removedListeners.length > 0) errors.push(...this.#bind());
    this.#rejudge(proxy, listeners);
    this.#retire(gone);
    for (const name of message.removedRoutes) proxy.routes.delete(name);
    for (const name of message.removedClusters) proxy.removeCluster(name);
    return errors;
  }

  #listenersOf(proxy: string): Map<string, Listener> {
    let listeners = this.#listeners.get(proxy);
    if (listeners === undefined) this.#listeners.set(proxy, listeners = new Map());
    return listeners;
  }

  /** Returns the chains of before that are not among those of now. */
  #setListener(proxy: ProxyState, listeners: Map<string, Listener>, config: ListenerConfig): FilterChain[] {
    const text = JSON.stringify(config);
    const before = listeners.get(config.name);
    if (before?.text === text) return [];
    const commonText = JSON.stringify({ ...config, filterChains: [] });
    const kept = new Map(
      before?.commonText === commonText ? before.chains.map((chain) => [JSON.stringify(chain.config), chain]) : [],
    );
    const chains = config.filterChains.map((chain) =>
      kept.get(JSON.stringify(chain)) ?? new FilterChain(proxy, config, chain)
    );
    listeners.set(config.name, { text, commonText, address: addressKey(config.address, config.port), chains });
    return before?.chains.filter((chain) => !chains.includes(chain)) ?? [];
  }

  /**
   * Connections of chains that are gone, if no successor has adopted them, are drained as Envoy does it: HTTP ends with the request in flight, TCP as
   * it likes, and what is left after the drain time is closed.
   */
  #retire(chains: FilterChain[]): void {
    if (chains.length === 0) return;
    const gone = new Set(chains);
    for (const chain of chains) chain.retired = true;
    const connections = () => [...this.thread.downstreams].filter(({ link }) => gone.has(link.chain));
    for (const connection of connections()) if (connection.link.chain.config.tcp === null) connection.drain();
    if (connections().length === 0) return;
    const deadline = new Timer(() => {
      for (const connection of connections()) connection.close();
    });
    this.thread.loop.setTimer(deadline, this.thread.limits.drainTime);
  }

  /** Opens the addresses that listeners name, gives each its chains, closes those that none names any more. */
  #bind(): string[] {
    const errors: string[] = [];
    const wanted = new Map<string, FilterChain[]>();
    for (const listeners of this.#listeners.values()) {
      for (const { address, chains } of listeners.values()) {
        wanted.set(address, [...wanted.get(address) ?? [], ...chains]);
      }
    }
    for (const [key, address] of this.thread.addresses) {
      if (wanted.has(key)) continue;
      address.close();
      this.thread.addresses.delete(key);
    }
    for (const [key, chains] of wanted) {
      if (chains.length === 0) continue;
      let address = this.thread.addresses.get(key);
      if (address === undefined && !this.thread.draining) {
        const { listener } = chains[0];
        try {
          address = new ListeningAddress(this.thread, listener.address, listener.port);
          this.thread.addresses.set(key, address);
        } catch (error) {
          errors.push(error instanceof Error ? error.message : String(error));
        }
      }
      address?.setChains(chains);
    }
    return errors;
  }

  /** Connections of listeners that have changed follow the new configuration, or end where it would not take them. */
  #rejudge(proxy: ProxyState, listeners: Map<string, Listener>): void {
    for (const connection of [...this.thread.downstreams]) {
      const { chain } = connection.link;
      const chains = listeners.get(chain.listener.name)?.chains ?? [];
      if (chain.proxy !== proxy || chains.includes(chain)) continue;
      const successor = successorOf(chain, chains);
      if (successor === null) {
        // A caller from outside may need another way in now; a local application's drain.
        if (chain.inbound || chain.rules !== null) connection.close();
        continue;
      }
      if (!chain.inbound && chain.rules === null && successor.rules === null) continue;
      connection.link.adopt(successor);
      connection.reauthorize();
    }
  }

  #removeProxy(name: string): string[] {
    const proxy = this.#proxies.get(name);
    if (proxy === undefined) return [];
    this.#proxies.delete(name);
    for (const { chains } of this.#listeners.get(name)?.values() ?? []) this.#retire(chains);
    this.#listeners.delete(name);
    const errors = this.#bind();
    for (const connection of this.thread.downstreams) {
      if (connection.link.chain.proxy === proxy) connection.drain();
    }
    proxy.close();
    return errors;
  }

  #drain(timeout: number): void {
    this.thread.draining = true;
    for (const address of this.thread.addresses.values()) address.close();
    this.thread.addresses.clear();
    for (const handshake of [...this.thread.handshakes]) handshake.drain();
    this.thread.onIdle = () => this.#endDraining();
    for (const connection of [...this.thread.downstreams]) connection.drain();
    if (this.thread.downstreams.size === 0) this.#endDraining();
    else this.thread.loop.setTimer(this.#drainDeadline, timeout);
  }

  /** Closes every socket: the thread ends. */
  close(): void {
    this.thread.draining = true;
    for (const address of this.thread.addresses.values()) address.close();
    this.thread.addresses.clear();
    for (const handshake of [...this.thread.handshakes]) handshake.drain();
    for (const connection of [...this.thread.downstreams]) connection.close();
    for (const proxy of this.#proxies.values()) proxy.close();
    this.thread.overload.close();
    this.thread.pipes.close();
    this.thread.logs.flush();
  }

  #endDraining(): void {
    this.thread.onIdle = () => {};
    this.thread.loop.clearTimer(this.#drainDeadline);
    for (const connection of [...this.thread.downstreams]) connection.close();
    this.thread.logs.flush();
    this.#onDrained();
  }
}

function addressKey(address: string, port: number): string {
  return `${address} ${port}`;
}

function unknownProxy(name: string): string {
  return `no proxy of the name ${name}`;
}
