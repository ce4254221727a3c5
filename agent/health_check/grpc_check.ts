/** A host is healthy that says SERVING (https://github.com/grpc/grpc/blob/master/doc/health-checking.md). */
import type { Host } from "../balance/cluster.ts";
import type { HealthCheckConfig } from "./config.ts";
import { BodyKind } from "../decode/framing.ts";
import { grpcStatusOf } from "../decode/grpc.ts";
import type { Fields, ResponseHead } from "../decode/head.ts";
import { formatGrpcTimeout } from "../../routing/resilience/timeouts.ts";
import type { CheckResult } from "./health_state.ts";
import { PooledCheck } from "./pooled_check.ts";

/** `HealthCheckResponse { status: SERVING }` behind its frame's five bytes: not compressed, two bytes long. */
const serving = [0, 0, 0, 0, 2, 8, 1];

export class GrpcCheck extends PooledCheck {
  /** Bytes of the answer that are as they should be; -1: one was not. */
  #matched = 0;
  #status = -1;
  #isGrpc = false;

  /** @param timeout milliseconds */
  constructor(
    host: Host,
    config: HealthCheckConfig["check"] & { kind: "grpc" },
    timeout: number,
    done: (result: CheckResult) => void,
  ) {
    super(host, done);
    this.head.appendText(
      `POST /grpc.health.v1.Health/Check HTTP/1.1\r\nhost: ${config.authority || this.defaultAuthority}\r\n` +
        "content-type: application/grpc\r\nte: trailers\r\n" + config.headerLines +
        `grpc-timeout: ${formatGrpcTimeout(timeout)}\r\n`,
    );
    const message = healthCheckRequest(config.service);
    this.body.appendAll(message);
    this.bodyKind = BodyKind.chunked;
    this.bodyLength = message.length;
    this.send();
  }

  onResponseHead({ status, fields }: ResponseHead): boolean {
    this.#isGrpc = status === 200;
    this.#status = grpcStatusOf(fields);
    return true;
  }

  override onResponseData(bytes: Uint8Array<ArrayBuffer>, offset: number, size: number): void {
    for (let i = 0; i < size && this.#matched >= 0; i++) {
      this.#matched = bytes[offset + i] === serving[this.#matched] ? this.#matched + 1 : -1;
    }
  }

  override onResponseTrailers(fields: Fields): void {
    this.#status = grpcStatusOf(fields);
  }

  protected result(): CheckResult {
    const passed = this.#isGrpc && this.#status === 0 && this.#matched === serving.length;
    return passed ? "passed" : "refused";
  }
}

/** `HealthCheckRequest { service }` in its frame. */
function healthCheckRequest(service: string): Uint8Array {
  const name = new TextEncoder().encode(service);
  const size = name.length === 0 ? 0 : 2 + name.length;
  // Translation keeps the name to lengths of one byte.
  const message = name.length === 0 ? [] : [10, name.length, ...name];
  return Uint8Array.from([0, 0, 0, 0, size, ...message]);
}
