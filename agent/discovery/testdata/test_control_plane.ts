/** A delta ADS server on @grpc/grpc-js with mutual TLS, driven by a test. */
import * as grpc from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from "../../../routing/xds/gen/envoy/service/discovery/v3/discovery_pb.ts";
import {
  type IstioCertificateRequest,
  IstioCertificateRequestSchema,
  type IstioCertificateResponse,
  IstioCertificateResponseSchema,
} from "../../../routing/xds/gen/istio/v1/auth/ca_pb.ts";
import type { TlsIdentity } from "../ads_stream.ts";

export interface TestStream {
  /** The client's certificate, DER. */
  peer: Uint8Array;
  send(response: MessageInitShape<typeof DeltaDiscoveryResponseSchema>): void;
  end(): void;
  fail(code: grpc.status, message: string): void;
}

export interface TestControlPlane {
  port: number;
  /** Ends everything at once, as a killed process does. */
  kill(): void;
  /** GOAWAY to every connection, then `grace` milliseconds for its streams. */
  goAway(grace: number): void;
}

export interface TestBehaviour {
  request?(stream: TestStream, request: DeltaDiscoveryRequest): void;
  /** `peer` is the client's certificate, DER. */
  sign?(
    request: IstioCertificateRequest,
    peer: Uint8Array,
  ): Promise<MessageInitShape<typeof IstioCertificateResponseSchema>>;
}

const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes);

export async function startTestControlPlane(
  identity: TlsIdentity,
  behaviour: TestBehaviour,
  port = 0,
): Promise<TestControlPlane> {
  const server = new grpc.Server();
  server.addService({
    delta: {
      path: "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
      requestStream: true,
      responseStream: true,
      requestDeserialize: (bytes: Buffer) => fromBinary(DeltaDiscoveryRequestSchema, bytes),
      requestSerialize: asBuffer,
      responseSerialize: (response: DeltaDiscoveryResponse) =>
        asBuffer(toBinary(DeltaDiscoveryResponseSchema, response)),
      responseDeserialize: (bytes: Buffer) => bytes,
    },
    sign: {
      path: "/istio.v1.auth.IstioCertificateService/CreateCertificate",
      requestStream: false,
      responseStream: false,
      requestDeserialize: (bytes: Buffer) => fromBinary(IstioCertificateRequestSchema, bytes),
      requestSerialize: asBuffer,
      responseSerialize: (response: IstioCertificateResponse) =>
        asBuffer(toBinary(IstioCertificateResponseSchema, response)),
      responseDeserialize: (bytes: Buffer) => bytes,
    },
  }, {
    delta(call: grpc.ServerDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>) {
      const peer = call.getAuthContext().sslPeerCertificate?.raw;
      const stream: TestStream = {
        peer: new Uint8Array(peer ?? []),
        send: (response) => call.write(create(DeltaDiscoveryResponseSchema, response)),
        end: () => call.end(),
        fail: (code, details) => call.emit("error", { code, details }),
      };
      call.on("data", (request: DeltaDiscoveryRequest) => behaviour.request?.(stream, request));
      call.on("end", () => call.end());
      call.on("error", () => {});
    },
    sign(
      call: grpc.ServerUnaryCall<IstioCertificateRequest, IstioCertificateResponse>,
      answer: grpc.sendUnaryData<IstioCertificateResponse>,
    ) {
      const peer = new Uint8Array(call.getAuthContext().sslPeerCertificate?.raw ?? []);
      (behaviour.sign?.(call.request, peer) ?? Promise.reject(new Error("not served"))).then(
        (response) => answer(null, create(IstioCertificateResponseSchema, response)),
        (error) => answer({ code: grpc.status.PERMISSION_DENIED, details: String(error.message) }),
      );
    },
  });
  const credentials = grpc.ServerCredentials.createSsl(
    Buffer.from(identity.trustBundle),
    [{ cert_chain: Buffer.from(identity.certificateChain), private_key: Buffer.from(identity.privateKey) }],
    true,
  );
  const bound = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`127.0.0.1:${port}`, credentials, (error, port) => error === null ? resolve(port) : reject(error))
  );
  return {
    port: bound,
    kill: () => server.forceShutdown(),
    goAway: (grace) => server.drain(`127.0.0.1:${bound}`, grace),
  };
}
