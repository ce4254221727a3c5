/** Which VirtualServices a client follows for a host. */
import type { VirtualService } from "../istio/types.ts";
import { resolveHost } from "../istio/host.ts";
import type { Mesh } from "../mesh.ts";
import { withDelegates } from "./delegates.ts";
import { HostTable } from "./host_table.ts";
import type { NamespaceView } from "./namespace_view.ts";
import { exportBreadth, exportedTo } from "./visibility.ts";
import type { CompileWarning } from "./warning.ts";

/** The reserved gateway that means every workload of the mesh. */
export const MESH_GATEWAY = "mesh";

/** VirtualServices with HTTP routes for workloads of the mesh, by host; and those bound to gateways, by gateway. */
export class VirtualServiceIndex {
  readonly #byHost = new HostTable<VirtualService>();
  /** Those with TLS or TCP routes. */
  readonly #l4ByHost = new HostTable<VirtualService>();
  readonly #byGateway = new Map<string, VirtualService[]>();
  readonly #forWorkloads: VirtualService[] = [];
  /** What is wrong with delegations. */
  readonly warnings: readonly CompileWarning[];
  /** Whether some route asks for labels of the source, so that clients of one namespace may differ. */
  readonly selective: boolean = false;

  /** @param virtualServices in order of precedence */
  constructor(mesh: Mesh, virtualServices: readonly VirtualService[]) {
    const whole = withDelegates(virtualServices, mesh.settings.domain);
    this.warnings = whole.warnings;
    for (const virtualService of whole.virtualServices) {
      const { spec, metadata } = virtualService;
      const gateways = (spec.gateways ?? []).map((gateway) => resolveGateway(gateway, metadata.namespace));
      for (const gateway of new Set(gateways)) {
        const bound = this.#byGateway.get(gateway);
        if (bound === undefined) this.#byGateway.set(gateway, [virtualService]);
        else bound.push(virtualService);
      }
      if (!appliesToMesh(virtualService)) continue;
      this.#forWorkloads.push(virtualService);
      const hosts = new Set(
        (spec.hosts ?? []).map((host) => resolveHost(host, metadata.namespace, mesh.settings.domain).toLowerCase()),
      );
      if (spec.tls?.length || spec.tcp?.length) hosts.forEach((host) => this.#l4ByHost.add(host, virtualService));
      if (spec.http === undefined || spec.http.length === 0) continue;
      if (spec.http.some(({ match }) => match?.some(({ sourceLabels }) => sourceLabels !== undefined))) {
        this.selective = true;
      }
      for (const host of hosts) this.#byHost.add(host, virtualService);
    }
  }

  /**
   * Those that name or cover the host and are in the view, by precedence: the most specific host first;
   * for one host, as in Istio, those of the client's namespace alone, then those exported to named namespaces, then
   * the public ones; each of these the oldest first. The first that has a route for the client is the one in force.
   */
  candidates(host: string, view: NamespaceView): VirtualService[] {
    return inForce(this.#byHost, host, view);
  }

  /** Whether any rule has TLS or TCP routes for workloads. */
  get hasL4Routes(): boolean {
    return this.#l4ByHost.size > 0;
  }

  /** The same of those with TLS or TCP routes. */
  l4Candidates(host: string, view: NamespaceView): VirtualService[] {
    return inForce(this.#l4ByHost, host, view);
  }

  /** Those for workloads that are visible in the namespace. */
  forWorkloads(namespace: string): VirtualService[] {
    return this.#forWorkloads.filter((each) => isVisible(each, namespace));
  }

  /** Those bound to a gateway (`NAMESPACE/NAME`) and visible in the namespace, by precedence as for one host. */
  boundTo(gateway: string, namespace: string): VirtualService[] {
    return visible(this.#byGateway.get(gateway) ?? [], namespace);
  }

  /** Hosts that VirtualServices in the view name, with those of exactly this host. */
  *hosts(view: NamespaceView): Iterable<[string, VirtualService[]]> {
    for (const host of this.#byHost.hosts()) {
      const applying = seen(this.#byHost.at(host), view);
      if (applying.length > 0) yield [host, applying];
    }
  }
}

/**
 * `NAMESPACE/NAME` of the Gateway that a VirtualService names: `name`, `namespace/name`, `./name`, and the older form
 * `name.namespace.svc.cluster.local`. `mesh` stays.
 */
export function resolveGateway(gateway: string, namespace: string): string {
  if (gateway === MESH_GATEWAY) return gateway;
  if (gateway.startsWith("./")) return `${namespace}/${gateway.slice(2)}`;
  if (gateway.includes("/")) return gateway;
  const [name, owner = namespace] = gateway.split(".");
  return `${owner}/${name}`;
}

function inForce(table: HostTable<VirtualService>, host: string, view: NamespaceView): VirtualService[] {
  return [...table.matches(host.toLowerCase())].flatMap((matching) => seen(matching, view));
}

function seen(virtualServices: readonly VirtualService[], { namespace, scope }: NamespaceView): VirtualService[] {
  const inNamespace = visible(virtualServices, namespace);
  return scope === undefined ? inNamespace : inNamespace.filter(scope.imports);
}

/** Whether the rule speaks to workloads: by default it does, and not when it names gateways without `mesh`. */
function appliesToMesh({ spec }: VirtualService): boolean {
  return spec.gateways === undefined || spec.gateways.length === 0 || spec.gateways.includes(MESH_GATEWAY);
}

function isVisible({ spec, metadata }: VirtualService, namespace: string): boolean {
  return exportedTo(spec.exportTo, metadata.namespace, namespace);
}

function visible(virtualServices: readonly VirtualService[], namespace: string): VirtualService[] {
  const seen = virtualServices.filter((each) => isVisible(each, namespace));
  if (seen.length < 2) return seen;
  const breadth = ({ spec, metadata }: VirtualService) => exportBreadth(spec.exportTo, metadata.namespace);
  return seen.sort((one, other) => breadth(one) - breadth(other));
}
