/**
 * Timeouts and retries of one request: its route's, changed by what its caller asks for in headers
 * (https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter). Only internal callers may
 * use Envoy's own headers; gRPC's deadline is anyone's.
 */
import { ascii } from "../decode/characters.ts";
import { lineEnd } from "../decode/field_lines.ts";
import type { Fields } from "../decode/head.ts";
import { Known } from "../decode/known_headers.ts";
import { callersRetryPolicy, type RetryPolicy } from "../../routing/resilience/retry.ts";
import { formatGrpcTimeout, parseCount, parseGrpcTimeout, RequestTimeouts } from "../../routing/resilience/timeouts.ts";
import type { ByteQueue } from "../worker/buffers.ts";
import type { ForwardAction } from "./route_table.ts";

const expectedLine = ascii("x-envoy-expected-rq-timeout-ms: ");
const timeoutName = ascii("x-envoy-upstream-rq-timeout-ms");
const perTryName = ascii("x-envoy-upstream-rq-per-try-timeout-ms");
const retryOnName = ascii("x-envoy-retry-on");
const retryGrpcOnName = ascii("x-envoy-retry-grpc-on");
const maxRetriesName = ascii("x-envoy-max-retries");
const statusCodesName = ascii("x-envoy-retriable-status-codes");

export class RequestSettings {
  readonly timeouts = new RequestTimeouts();
  retry: RetryPolicy | null = null;

  /** Takes what the route says. `maxStreamDuration`: the connection manager's in milliseconds, 0: none. */
  ofRoute(action: ForwardAction, maxStreamDuration: number): void {
    this.retry = action.retry;
    this.timeouts.ofRoute(action.timeouts, action.retry?.perTryTimeout ?? 0, maxStreamDuration);
  }

  /**
   * Takes what the caller asks for, and drops from its fields what is not for the upstream.
   *
   * @param internal whether the caller may use Envoy's headers
   * @param respectsExpected whether `x-envoy-expected-rq-timeout-ms` of the proxy before this one is the timeout
   */
  ofCaller(action: ForwardAction, fields: Fields, isGrpc: boolean, internal: boolean, respectsExpected: boolean): void {
    const deadline = fields.known(Known.grpcTimeout);
    if (!internal && !isGrpc && deadline === null) return;
    const expected = internal && respectsExpected ? fields.known(Known.expectedTimeout) : null;
    const retries = internal && this.#takeRetry(fields);
    const asked = internal ? take(fields, timeoutName) : null;
    const perTry = internal ? take(fields, perTryName) : null;
    const timeout = expected ?? asked;
    // Most callers ask for nothing: nothing is made for them.
    if (!retries && !isGrpc && deadline === null && timeout === null && perTry === null) return;
    this.timeouts.ofCaller(action.timeouts, {
      isGrpc,
      grpc: deadline === null ? null : parseGrpcTimeout(deadline),
      timeout: timeout === null ? null : parseCount(timeout),
      perTry: perTry === null ? null : parseCount(perTry),
    }, this.retry?.perTryTimeout ?? 0);
    if (this.timeouts.tellsGrpc) fields.drop(Known.grpcTimeout);
  }

  /** Whether the caller asks for retries. */
  #takeRetry(fields: Fields): boolean {
    const retryOn = take(fields, retryOnName);
    const retryGrpcOn = take(fields, retryGrpcOnName);
    const maxRetries = take(fields, maxRetriesName);
    const statusCodes = take(fields, statusCodesName);
    if (retryOn === null && retryGrpcOn === null && maxRetries === null && statusCodes === null) return false;
    const names = [retryOn, retryGrpcOn].filter((text) => text !== null).join();
    this.retry = callersRetryPolicy(this.retry, {
      retryOn: list(names),
      maxRetries: maxRetries === null ? null : parseCount(maxRetries),
      statusCodes: list(statusCodes ?? "").filter((code) => /^\d{3}$/.test(code)).map(Number),
    });
    return true;
  }

  /** Writes what the upstream is told of the time it has, `elapsed` milliseconds after the request was received. */
  append(out: ByteQueue, elapsed: number): void {
    const { timeouts } = this;
    const expected = timeouts.expected(elapsed);
    if (expected > 0) {
      out.appendAll(expectedLine);
      out.appendDecimal(Math.ceil(expected));
      out.appendAll(lineEnd);
    }
    if (timeouts.tellsGrpc) {
      out.appendText(`grpc-timeout: ${formatGrpcTimeout(Math.ceil(timeouts.expectedGrpc(elapsed)))}\r\n`);
    }
  }
}

/** The first value of a field that is not passed on; `null`: there is none. */
function take(fields: Fields, name: Uint8Array): string | null {
  const index = fields.find(name);
  if (index < 0 || fields.dropped[index] !== 0) return null;
  fields.dropNamed(name);
  return fields.value(index);
}

function list(text: string): string[] {
  return text.split(",").map((item) => item.trim()).filter((item) => item !== "");
}
