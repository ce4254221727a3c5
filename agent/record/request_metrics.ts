/** Istio's labels of a request, and the series for each outcome: found by number on the hot path, made once. */
import type { ProxyDescription, WorkloadLabels } from "../config/model.ts";
import { flagText } from "../respond/outcome.ts";
import { grpcStatusOfHttp } from "./grpc_status.ts";
import type { MetricChanges, RequestSeries, SeriesTable, TcpSeries } from "./series.ts";

/** The labels that stay the same for all requests between two ends. */
export class MetricScope {
  readonly #byOutcome = new Map<number, RequestSeries>();
  readonly #tcpByFlags = new Map<number, TcpSeries>();

  readonly #changes: MetricChanges;

  /** @param changes of the metrics, as a filter chain has them */
  constructor(
    private readonly table: SeriesTable,
    private readonly labels: Record<string, string>,
    readonly changes = "",
  ) {
    this.#changes = changes === "" ? {} : JSON.parse(changes);
  }

  /**
   * The series for a response code (0: the caller went away), flags of `Flag` and protocol. `grpcStatus`: as the
   * response said it, from 0 to 99; -1 when it did not.
   */
  series(code: number, flags: number, grpc: boolean, grpcStatus = -1): RequestSeries {
    const key = (flags * 128 + (grpc ? grpcStatus + 2 : 0)) * 1000 + code;
    let series = this.#byOutcome.get(key);
    if (series === undefined) {
      series = this.table.request({
        ...this.labels,
        request_protocol: grpc ? "grpc" : "http",
        ...(grpc ? { grpc_response_status: grpcStatusLabel(grpcStatus, code) } : {}),
        response_code: String(code),
        response_flags: flagText(flags),
      }, this.#changes);
      this.#byOutcome.set(key, series);
    }
    return series;
  }

  /** The series of TCP connections: with no flags while they live, with those of `Flag` for how they ended. */
  tcp(flags: number): TcpSeries {
    let series = this.#tcpByFlags.get(flags);
    if (series === undefined) {
      series = this.table.tcp(
        { ...this.labels, request_protocol: "tcp", response_flags: flagText(flags) },
        this.#changes,
      );
      this.#tcpByFlags.set(flags, series);
    }
    return series;
  }
}

/** As in Envoy, a response that says nothing has the status that its HTTP code means. */
function grpcStatusLabel(grpcStatus: number, code: number): string {
  if (grpcStatus >= 0) return String(grpcStatus);
  return code === 0 ? "" : String(grpcStatusOfHttp(code));
}

const unknown: WorkloadLabels = {
  workload: "",
  namespace: "",
  app: "",
  version: "",
  canonicalService: "",
  canonicalRevision: "",
  cluster: "",
};

export interface Service {
  host: string;
  name: string;
  namespace: string;
}

/** Where no cluster was chosen. */
export const noService: Service = { host: "", name: "", namespace: "" };

/** Labels as the caller's proxy reports them (`reporter="source"`). `destination` is `null` where no host was chosen. */
export function sourceLabels(
  proxy: ProxyDescription,
  service: Service,
  destination: WorkloadLabels | null,
  destinationPrincipal: string,
): Record<string, string> {
  return {
    reporter: "source",
    ...end("source", proxy.workload, proxy.principal),
    ...end("destination", destination ?? unknown, destinationPrincipal),
    ...serviceLabels(service),
    // Istio: the caller's side does not vouch for the security of the connection.
    connection_security_policy: "unknown",
  };
}

/** Labels as the receiving proxy reports them (`reporter="destination"`); an empty principal: a plaintext caller. */
export function destinationLabels(
  proxy: ProxyDescription,
  service: Service,
  sourcePrincipal: string,
): Record<string, string> {
  const namespace = /\/ns\/([^/]+)\//.exec(sourcePrincipal)?.[1] ?? "";
  return {
    reporter: "destination",
    ...end("source", { ...unknown, namespace }, sourcePrincipal),
    ...end("destination", proxy.workload, proxy.principal),
    ...serviceLabels(service),
    connection_security_policy: sourcePrincipal === "" ? "none" : "mutual_tls",
  };
}

function end(side: "source" | "destination", workload: WorkloadLabels, principal: string): Record<string, string> {
  const or = (text: string) => text === "" ? "unknown" : text;
  return {
    [`${side}_workload`]: or(workload.workload),
    [`${side}_workload_namespace`]: or(workload.namespace),
    [`${side}_principal`]: or(principal),
    [`${side}_app`]: or(workload.app),
    [`${side}_version`]: or(workload.version),
    [`${side}_cluster`]: or(workload.cluster),
    [`${side}_canonical_service`]: or(workload.canonicalService),
    [`${side}_canonical_revision`]: or(workload.canonicalRevision === "" ? "latest" : workload.canonicalRevision),
  };
}

function serviceLabels(service: Service): Record<string, string> {
  return {
    destination_service: service.host === "" ? "unknown" : service.host,
    destination_service_name: service.name === "" ? "unknown" : service.name,
    destination_service_namespace: service.namespace === "" ? "unknown" : service.namespace,
  };
}
