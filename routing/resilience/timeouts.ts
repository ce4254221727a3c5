/**
 * How long one request may take, from what its route says and what its caller asks for: `finalTimeout` of Envoy's router
 * and `refreshDurationTimeout` of its connection manager. Milliseconds.
 */

/** What a route says; a time of 0 is none. */
export interface RouteTimeouts {
  /** From the end of the request to the end of the response. */
  timeout: number;
  /** From the start of the request to the end of the response; absent: as the connection manager says. */
  maxStreamDuration?: number;
  /** Set where `max_stream_duration` is there at all, even empty: then {@link timeout} is not in force. */
  newTimeouts?: boolean;
  /** A caller's `grpc-timeout` counts as the stream's duration up to this; 0: as it is; absent: it does not count. */
  grpcTimeoutHeaderMax?: number;
  /** Taken from it. */
  grpcTimeoutHeaderOffset?: number;
  /** A gRPC caller's `grpc-timeout` counts as the timeout up to this; 0: as it is; absent: it does not count. */
  maxGrpcTimeout?: number;
  grpcTimeoutOffset?: number;
}

/** What a caller asks for; `null`: nothing. */
export interface CallerTimeouts {
  isGrpc: boolean;
  /** `grpc-timeout` */
  grpc: number | null;
  /** `x-envoy-upstream-rq-timeout-ms`, or what stands for it. */
  timeout: number | null;
  /** `x-envoy-upstream-rq-per-try-timeout-ms` */
  perTry: number | null;
}

/** The times of one request; 0 is none. */
export class RequestTimeouts {
  timeout = 0;
  perTry = 0;
  /** Negative: none; 0: it is over already. */
  streamDuration = -1;
  /** Whether the upstream is told by `grpc-timeout` how long it has. */
  tellsGrpc = false;

  /** As the route says, of a caller that asks for nothing. `streamDuration`: the connection manager's, 0: none. */
  ofRoute(route: RouteTimeouts, perTry: number, streamDuration: number): void {
    this.timeout = route.newTimeouts === true ? 0 : route.timeout;
    const duration = route.maxStreamDuration ?? streamDuration;
    this.streamDuration = duration > 0 ? duration : -1;
    this.tellsGrpc = false;
    this.#perTry(perTry);
  }

  /** Takes in what the caller asks for, after {@link ofRoute}. */
  ofCaller(route: RouteTimeouts, caller: CallerTimeouts, perTry: number): void {
    if (caller.isGrpc && route.newTimeouts !== true && route.maxGrpcTimeout !== undefined) {
      this.timeout = grpcTimeout(caller.grpc ?? 0, route.maxGrpcTimeout, route.grpcTimeoutOffset ?? 0);
      this.tellsGrpc = this.timeout > 0;
    }
    if (caller.grpc !== null && route.grpcTimeoutHeaderMax !== undefined) {
      const { grpcTimeoutHeaderMax: max, grpcTimeoutHeaderOffset: offset = 0 } = route;
      const limited = max > 0 ? Math.min(caller.grpc, max) : caller.grpc;
      this.streamDuration = Math.max(0, limited - offset);
    }
    if (caller.isGrpc && this.streamDuration > 0) this.tellsGrpc = true;
    if (caller.timeout !== null) this.timeout = caller.timeout;
    this.#perTry(caller.perTry ?? perTry);
  }

  /** An attempt has no more time than the whole. */
  #perTry(perTry: number): void {
    this.perTry = this.timeout > 0 && perTry >= this.timeout ? 0 : perTry;
  }

  /** How long the upstream has, `elapsed` after the first attempt began; 0: as long as it likes. */
  expected(elapsed: number): number {
    const wanted = this.perTry > 0 ? this.perTry : this.timeout;
    return this.timeout === 0 || wanted === 0 ? wanted : Math.max(1, Math.min(wanted, this.timeout - elapsed));
  }

  /** What `grpc-timeout` tells the upstream, where it {@link tellsGrpc}. */
  expectedGrpc(elapsed: number): number {
    return this.streamDuration > 0 ? this.streamDuration : this.expected(elapsed);
  }
}

/** 0 is for ever: the offset never leads there, and the limit holds for it too. */
function grpcTimeout(asked: number, max: number, offset: number): number {
  const left = offset < asked ? asked - offset : asked;
  return max > 0 && (left === 0 || left > max) ? max : left;
}

const grpcUnits: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** `grpc-timeout` (at most eight digits and a unit) in milliseconds, rounded up; `null` where it is none. */
export function parseGrpcTimeout(text: string): number | null {
  const match = /^(\d{1,8})([HMSmun])$/.exec(text);
  return match === null ? null : Math.ceil(Number(match[1]) * grpcUnits[match[2]]);
}

/** In the finest unit that eight digits have room for. */
export function formatGrpcTimeout(time: number): string {
  if (time < 1e8) return `${time}m`;
  return time < 1e11 ? `${Math.floor(time / 1000)}S` : `${Math.floor(time / 60_000)}M`;
}

/** A count of milliseconds or of attempts in one of Envoy's headers; `null` where it is none. */
export function parseCount(text: string): number | null {
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}
