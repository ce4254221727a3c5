/** What one data thread knows of one proxy (a workload): clusters, routes, TLS contexts, metric scopes. */
import type { ClusterConfig, EndpointsConfig, ProxyDescription, RouteConfig, SecretConfig } from "../config/model.ts";
import { Cluster } from "../balance/cluster.ts";
import { MetricScope } from "../record/request_metrics.ts";
import { RouteTable } from "../route/route_table.ts";
import type { DataThread } from "./thread.ts";
import { TlsContexts } from "./tls_contexts.ts";

export class ProxyState {
  readonly tls = new TlsContexts();
  readonly clusters = new Map<string, Cluster>();
  readonly routes = new Map<string, RouteTable>();
  readonly #clusterTexts = new Map<string, string>();
  readonly #endpoints = new Map<string, EndpointsConfig>();
  readonly #scopes = new Map<string, MetricScope>();

  constructor(readonly thread: DataThread, public description: ProxyDescription) {}

  /** Takes changed labels and identity: metric series start afresh. */
  describe(description: ProxyDescription): void {
    this.description = description;
    this.#scopes.clear();
  }

  setSecret(secret: SecretConfig): string[] {
    const errors = this.tls.setSecret(secret);
    for (const cluster of this.clusters.values()) cluster.renewConnections();
    return errors;
  }

  /** Adds or replaces a cluster. An unchanged one keeps its connections; a changed one starts afresh. */
  setCluster(config: ClusterConfig): void {
    const text = JSON.stringify(config);
    if (this.#clusterTexts.get(config.name) === text) return;
    this.clusters.get(config.name)?.drain();
    const cluster = new Cluster(this.thread, this, config);
    const endpoints = this.#endpoints.get(config.name);
    if (endpoints !== undefined) cluster.setEndpoints(endpoints);
    this.clusters.set(config.name, cluster);
    this.#clusterTexts.set(config.name, text);
  }

  removeCluster(name: string): void {
    this.clusters.get(name)?.drain();
    this.clusters.delete(name);
    this.#clusterTexts.delete(name);
    this.#endpoints.delete(name);
  }

  setEndpoints(config: EndpointsConfig): void {
    this.#endpoints.set(config.cluster, config);
    this.clusters.get(config.cluster)?.setEndpoints(config);
  }

  setRoute(config: RouteConfig): void {
    this.routes.set(config.name, new RouteTable(config));
  }

  /** The metric scope under `key` with these changes, made by `labels` the first time. */
  scope(key: string, changes: string, labels: () => Record<string, string>): MetricScope {
    const whole = changes === "" ? key : `${key} ${changes}`;
    let scope = this.#scopes.get(whole);
    if (scope === undefined) {
      this.#scopes.set(whole, scope = new MetricScope(this.thread.series, labels(), changes));
    }
    return scope;
  }

  close(): void {
    for (const cluster of this.clusters.values()) cluster.drain();
    this.clusters.clear();
    this.tls.close();
  }
}
