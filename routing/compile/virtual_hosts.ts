/** Virtual hosts of one service, or of one host that only a VirtualService names, for one client. */
import { create } from "@bufbuild/protobuf";
import { resolveHost } from "../istio/host.ts";
import type { Destination, VirtualService } from "../istio/types.ts";
import type { Service, ServicePort } from "../mesh.ts";
import {
  type Route,
  type VirtualHost,
  VirtualHostSchema,
} from "../xds/gen/envoy/config/route/v3/route_components_pb.ts";
import { clusterName } from "../xds/names.ts";
import type { Client, RuleSet } from "./destination_rules.ts";
import { type Domains, hostDomains, serviceDomains } from "./domains.ts";
import { goesByAuthority } from "./dynamic_forward_proxy.ts";
import { type ListToken, listToken } from "./intern.ts";
import type { MeshIndex } from "./mesh_index.ts";
import type { NamespaceView } from "./namespace_view.ts";
import { isHttp } from "./protocol.ts";
import type { ResolvedCluster } from "./route_action.ts";
import { connectRoute, defaultRoute, sourceSignature, virtualServiceRoutes } from "./routes.ts";
import { effectivePolicy } from "./traffic_policy.ts";
import { MESH_GATEWAY } from "./virtual_services.ts";
import type { CompileWarning } from "./warning.ts";

/** A virtual host, and the domains it would answer to if no other host were in the way. */
export interface CompiledVirtualHost {
  virtualHost: VirtualHost;
  domains: Domains;
}

export interface VirtualHosts {
  hosts: readonly CompiledVirtualHost[];
  warnings: readonly CompileWarning[];
}

/** Port of hosts that only a VirtualService names: HTTP's own, as in Istio. */
const DEFAULT_PORT = 80;

/** The result, and what it was made from beyond its key: it holds as long as all of these are what they were. */
interface Entry extends VirtualHosts {
  destinations: ReadonlyMap<string, { service: Service | undefined; rules: RuleSet | undefined }>;
}

const compiled = new WeakMap<ListToken, Map<string, Entry>>();

/** Compiles virtual hosts for one client in one state of the mesh, taking from earlier states what still holds. */
export class VirtualHostCompiler {
  readonly #index: MeshIndex;
  readonly #client: Client;
  readonly #gateway: string;
  readonly #view: NamespaceView;

  /**
   * @param gateway `mesh`, or the `NAMESPACE/NAME` of the Gateway whose routes these are
   * @param view in which rules are looked for
   */
  constructor(index: MeshIndex, client: Client, gateway = MESH_GATEWAY, view = index.view(client)) {
    this.#index = index;
    this.#client = client;
    this.#gateway = gateway;
    this.#view = view;
  }

  /**
   * One virtual host for each port of the service: names without a port belong to port 80, else to the first HTTP port.
   * Ports of other protocols are reached by CONNECT alone.
   */
  ofService(service: Service): VirtualHosts {
    const httpPorts = service.ports.filter(({ protocol }) => isHttp(protocol));
    const { ports } = service;
    if (ports.length === 0) return { hosts: [], warnings: [] };
    const candidates = this.#index.virtualServices.candidates(service.hostname, this.#view);
    const onDefaultPort = httpPorts.find(({ number }) => number === DEFAULT_PORT);
    // Where requests go by what they say, one that names no port says HTTP's own.
    const barePort = onDefaultPort ?? (goesByAuthority(service) ? undefined : httpPorts[0]);
    return this.#cached([service, ...candidates], candidates, "", (compilation) => ({
      hosts: ports.map((port) => this.#serviceHost(service, port, port === barePort, candidates, compilation)),
    }));
  }

  /** The virtual host of a host that no visible service has; none where no rule has a route for the client. */
  ofHost(host: string, candidates: readonly VirtualService[]): VirtualHosts {
    return this.#cached(candidates, candidates, host, (compilation) => {
      const routes = compilation.routes(candidates, DEFAULT_PORT);
      if (routes === undefined) return { hosts: [] };
      const domains = hostDomains(host, DEFAULT_PORT);
      return { hosts: [{ virtualHost: virtualHost(`${host}:${DEFAULT_PORT}`, domains, routes), domains }] };
    });
  }

  /** The routes of one rule on a port of a gateway, as a virtual host that has no domains yet. */
  ofRule(virtualService: VirtualService, port: number): VirtualHosts {
    return this.#cached([virtualService], [virtualService], `:${port}`, (compilation) => {
      const routes = compilation.routes([virtualService], port) ?? [];
      const domains = { own: [], short: [] };
      return { hosts: [{ virtualHost: virtualHost("", domains, routes), domains }] };
    });
  }

  #serviceHost(
    service: Service,
    port: ServicePort,
    bare: boolean,
    candidates: readonly VirtualService[],
    compilation: Compilation,
  ): CompiledVirtualHost {
    const { settings } = this.#index.mesh;
    const domains = serviceDomains(service, port.number, this.#client.namespace, settings.domain, bare);
    const cluster = compilation.clusterOf(service, port.number);
    const routes = isHttp(port.protocol)
      ? compilation.routes(candidates, port.number) ?? [defaultRoute(cluster, settings.defaultRetries)]
      : [];
    routes.push(connectRoute(cluster.name));
    return { virtualHost: virtualHost(`${service.hostname}:${port.number}`, domains, routes), domains };
  }

  #cached(
    inputs: readonly object[],
    virtualServices: readonly VirtualService[],
    host: string,
    compile: (compilation: Compilation) => { hosts: CompiledVirtualHost[] },
  ): VirtualHosts {
    const token = listToken(inputs);
    let entries = compiled.get(token);
    if (entries === undefined) compiled.set(token, entries = new Map());
    const signatures = virtualServices.map((virtualService) =>
      sourceSignature(virtualService, this.#client, this.#gateway)
    );
    const { name: scope = "" } = this.#index.view(this.#client).scope ?? {};
    const { domain } = this.#index.mesh.settings;
    const key = [this.#gateway, this.#client.namespace, scope, domain, host, ...signatures].join(" ");
    const known = entries.get(key);
    if (known !== undefined && this.#holds(known)) return known;
    const compilation = new Compilation(this.#index, this.#client, this.#gateway);
    const entry: Entry = { ...compile(compilation), ...compilation.outcome() };
    entries.set(key, entry);
    return entry;
  }

  #holds({ destinations }: Entry): boolean {
    for (const [hostname, was] of destinations) {
      const service = this.#index.service(hostname, this.#client);
      if (service !== was.service) return false;
      if (service !== undefined && this.#index.rulesFor(service, this.#client) !== was.rules) return false;
    }
    return true;
  }
}

/** One compilation: resolves destinations and remembers which services and rules they depended on. */
class Compilation {
  readonly #index: MeshIndex;
  readonly #client: Client;
  readonly #warnings: CompileWarning[] = [];
  readonly #gateway: string;
  readonly #destinations = new Map<string, { service: Service | undefined; rules: RuleSet | undefined }>();

  constructor(index: MeshIndex, client: Client, gateway: string) {
    this.#index = index;
    this.#client = client;
    this.#gateway = gateway;
  }

  /** The routes of the first rule that has any for this client and port. */
  routes(candidates: readonly VirtualService[], port: number): Route[] | undefined {
    for (const virtualService of candidates) {
      const { namespace, name } = virtualService.metadata;
      const warn = (field: string, message: string) => {
        this.#warnings.push({ kind: "VirtualService", namespace, name, field, message });
      };
      const routes = virtualServiceRoutes(virtualService, {
        client: this.#client,
        gateway: this.#gateway,
        port,
        resolve: (destination, field) => this.#resolve(destination, namespace, port, field, warn),
        defaultRetries: this.#index.mesh.settings.defaultRetries,
        warn,
      });
      if (routes.length > 0) return routes;
    }
    return undefined;
  }

  outcome(): Omit<Entry, "hosts"> {
    return { warnings: this.#warnings, destinations: this.#destinations };
  }

  /** The cluster of a service's port as a whole. */
  clusterOf(service: Service, port: number): ResolvedCluster {
    const rules = this.#index.rulesFor(service, this.#client);
    this.#destinations.set(service.hostname, { service, rules });
    return {
      name: clusterName("outbound", port, "", service.hostname),
      consistentHash: effectivePolicy(rules.trafficPolicy, undefined, port).loadBalancer?.consistentHash,
    };
  }

  /** A name of a cluster in any case: to one that does not exist requests are answered with 503. */
  #resolve(
    destination: Destination,
    namespace: string,
    port: number,
    field: string,
    warn: (field: string, message: string) => void,
  ): ResolvedCluster {
    const hostname = resolveHost(destination.host, namespace, this.#index.mesh.settings.domain).toLowerCase();
    const service = this.#index.service(hostname, this.#client);
    const rules = service === undefined ? undefined : this.#index.rulesFor(service, this.#client);
    this.#destinations.set(hostname, { service, rules });
    const target = destination.port?.number ?? (service?.ports.length === 1 ? service.ports[0].number : port);
    const subset = destination.subset ?? "";
    if (service === undefined || rules === undefined) {
      warn(`${field}.host`, `no service ${JSON.stringify(hostname)} is visible in namespace ${this.#client.namespace}`);
    } else if (!service.ports.some(({ number }) => number === target)) {
      warn(`${field}.port`, `service ${hostname} has no port ${target}`);
    } else if (subset !== "" && !rules.subsets.has(subset)) {
      warn(`${field}.subset`, `no DestinationRule for ${hostname} defines subset ${JSON.stringify(subset)}`);
    }
    const policy = effectivePolicy(rules?.trafficPolicy, rules?.subsets.get(subset)?.subset.trafficPolicy, target);
    return {
      name: clusterName("outbound", target, subset, hostname),
      consistentHash: policy.loadBalancer?.consistentHash,
    };
  }
}

function virtualHost(name: string, domains: Domains, routes: Route[]): VirtualHost {
  const all = [...domains.own, ...domains.short];
  return create(VirtualHostSchema, { name, domains: all, routes, includeRequestAttemptCount: true });
}
