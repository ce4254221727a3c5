/** The health check of gRPC: one call of `grpc.health.v1.Health/Check` (gRPC's health checking protocol). */
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { callUnary } from "../discovery/grpc_unary.ts";

/** HealthCheckResponse.ServingStatus. */
const statuses = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
const serving = 1;
const statusField = 1;

/**
 * Why the server is not healthy; `null`: it serves. It speaks HTTP/2 without TLS, as Kubernetes' probes have it.
 *
 * @param service empty: the server as a whole
 * @throws Error when there is no answer
 */
export async function checkGrpcHealth(address: string, service: string, signal: AbortSignal): Promise<string | null> {
  using client = Deno.createHttpClient({ http1: false, http2: true });
  const request = service === "" ? new Uint8Array(0) : new BinaryWriter().tag(1, 2).string(service).finish();
  const answer = await callUnary(client, `http://${address}`, "/grpc.health.v1.Health/Check", request, signal);
  const status = statusOf(answer);
  return status === serving ? null : `${address}: ${statuses[status] ?? `status ${status}`}`;
}

function statusOf(message: Uint8Array): number {
  const reader = new BinaryReader(message);
  let status = 0;
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === statusField) status = reader.int32();
    else reader.skip(wireType);
  }
  return status;
}
