/** One delta ADS stream by fetch: requests and responses flow at once over HTTP/2 with mutual TLS. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from "../../routing/xds/gen/envoy/service/discovery/v3/discovery_pb.ts";
import { frameMessage, FrameReader } from "./grpc_framing.ts";
import { callUnary, GrpcCallError, grpcFailure } from "./grpc_unary.ts";
import { reasonOf } from "./reason.ts";

const deltaMethod = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
/** Any answer to this call, UNIMPLEMENTED too, proves that the connection is alive. */
const livenessMethod = "/grpc.health.v1.Health/Check";
/** One response may carry a whole large mesh. */
const responseLimit = 256 * 1024 * 1024;

/** What a client shows to the control plane, and what it trusts. */
export interface TlsIdentity {
  /** PEM, leaf first. */
  certificateChain: string;
  privateKey: string;
  /** PEM. */
  trustBundle: string;
}

/** A client with the workload's certificate, for one connection; HTTP/2 only, as gRPC is. */
export function mutualTlsClient(identity: TlsIdentity): Deno.HttpClient {
  return Deno.createHttpClient({
    caCerts: [identity.trustBundle],
    cert: identity.certificateChain,
    key: identity.privateKey,
    http2: true,
    http1: false,
  });
}

/** Times in milliseconds. */
export interface LivenessOptions {
  /** Between two checks of a stream's connection. */
  interval: number;
  /** For the answer to one check. */
  timeout: number;
}

export class AdsStream {
  readonly #client: Deno.HttpClient;
  readonly #address: string;
  readonly #abort = new AbortController();
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #readable: ReadableStream<Uint8Array<ArrayBuffer>>;

  constructor(address: string, identity: TlsIdentity) {
    this.#address = address;
    this.#client = mutualTlsClient(identity);
    const { readable, writable } = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>();
    this.#readable = readable;
    this.#writer = writable.getWriter();
    this.#writer.closed.catch(() => {});
  }

  send(request: MessageInitShape<typeof DeltaDiscoveryRequestSchema>): void {
    const message = toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, request));
    // A failed write means a failed stream, of which run() tells.
    this.#writer.write(frameMessage(message)).catch(() => {});
  }

  /**
   * Opens the stream and calls `receive` for each response until the stream ends.
   *
   * @throws what ended it: a refused connection, a gRPC status, a peer that no longer answers.
   */
  async run(receive: (response: DeltaDiscoveryResponse) => void, liveness: LivenessOptions): Promise<void> {
    const check = setInterval(() => this.#checkLiveness(liveness.timeout), liveness.interval);
    try {
      const response = await fetch(`https://${this.#address}${deltaMethod}`, {
        method: "POST",
        client: this.#client,
        headers: { "content-type": "application/grpc", te: "trailers" },
        body: this.#readable,
        signal: this.#abort.signal,
        redirect: "error",
      });
      const failure = grpcFailure(response);
      if (failure !== null) throw failure;
      const reader = new FrameReader(responseLimit);
      for await (const chunk of response.body ?? []) {
        for (const message of reader.push(chunk)) receive(fromBinary(DeltaDiscoveryResponseSchema, message));
      }
    } finally {
      clearInterval(check);
      this.close("the stream has ended");
    }
  }

  /** Ends the stream; safe to call again. */
  close(reason: string): void {
    if (this.#abort.signal.aborted) return;
    this.#abort.abort(new Error(reason));
    this.#writer.abort().catch(() => {});
    this.#client.close();
  }

  /** A connection whose peer has vanished without a word shows no error: only an answer proves that it is there. */
  async #checkLiveness(timeout: number): Promise<void> {
    const signal = AbortSignal.any([this.#abort.signal, AbortSignal.timeout(timeout)]);
    try {
      await callUnary(this.#client, `https://${this.#address}`, livenessMethod, new Uint8Array(0), signal);
    } catch (error) {
      if (error instanceof GrpcCallError || this.#abort.signal.aborted) return;
      this.close(`the control plane does not answer: ${reasonOf(error)}`);
    }
  }
}
