/** How the hosts of a cluster are asked for their health. Times are milliseconds. */
export interface HealthCheckConfig {
  check:
    | {
      kind: "http";
      method: string;
      /** Empty: the cluster's name. */
      host: string;
      path: string;
      /** Header lines beside the host, each with its end of line. */
      headerLines: string;
      /** From `start` up to but without `end`. */
      expectedStatuses: { start: number; end: number }[];
      /** Statuses that count as no answer does: only several in a row make a host unhealthy. */
      retriableStatuses: { start: number; end: number }[];
    }
    /** `authority` empty: the cluster's name. `service` empty: the server as a whole. */
    | { kind: "grpc"; service: string; authority: string; headerLines: string }
    /** Bytes that are sent, and blocks of which all must come, in this order; none: a connection is enough. */
    | { kind: "tcp"; send: number[]; receive: number[][] };
  /** Port that is asked; absent: the endpoint's own. An endpoint's goes before it. */
  port?: number;
  timeout: number;
  /** Between checks of a healthy host; the others hold in other states of the host, or without traffic so far. */
  interval: number;
  noTrafficInterval: number;
  noTrafficHealthyInterval: number;
  unhealthyInterval: number;
  unhealthyEdgeInterval: number;
  healthyEdgeInterval: number;
  /** Before the first check; at random up to this. */
  initialJitter: number;
  /** Added to each interval, at random up to this and this much of it. */
  intervalJitter: number;
  intervalJitterPercent: number;
  unhealthyThreshold: number;
  healthyThreshold: number;
}
