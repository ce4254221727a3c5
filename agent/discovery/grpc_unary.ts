/** One gRPC request and its one answer, by fetch. */
import { frameMessage, FrameReader } from "./grpc_framing.ts";

const answerLimit = 1024 * 1024;

/** The call was answered with a gRPC status other than OK, or not by gRPC at all. */
export class GrpcCallError extends Error {
  override readonly name = "GrpcCallError";
  /** `status` is the gRPC status code, -1 where none could be read. */
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

/**
 * The error that a response's headers tell; `null` for one that goes on with messages. A gRPC answer without messages
 * carries its status in the headers; in all others it is in the trailers, which fetch does not show.
 */
export function grpcFailure(response: Response): GrpcCallError | null {
  const status = response.headers.get("grpc-status");
  if (status !== null && status !== "0") {
    return new GrpcCallError(Number(status), decodeMessage(response.headers.get("grpc-message") ?? `status ${status}`));
  }
  if (response.status !== 200) return new GrpcCallError(-1, `HTTP status ${response.status}`);
  return null;
}

/**
 * Calls `path` (`/package.Service/Method`) at `origin` (`https://host:port`) and returns the answer's bytes.
 *
 * @throws {GrpcCallError} and what fetch throws when there is no connection.
 */
export async function callUnary(
  client: Deno.HttpClient,
  origin: string,
  path: string,
  message: Uint8Array,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const response = await fetch(`${origin}${path}`, {
    method: "POST",
    client,
    headers: { "content-type": "application/grpc", te: "trailers" },
    body: frameMessage(message),
    signal,
    redirect: "error",
  });
  const failure = grpcFailure(response);
  if (failure !== null) {
    await response.body?.cancel();
    throw failure;
  }
  const reader = new FrameReader(answerLimit);
  const messages: Uint8Array[] = [];
  for await (const chunk of response.body ?? []) messages.push(...reader.push(chunk));
  if (messages.length !== 1) throw new GrpcCallError(-1, `${messages.length} messages in answer to a unary call`);
  return messages[0];
}

/** grpc-message is percent-encoded UTF-8. */
function decodeMessage(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
