/** A reply of the proxy's own as gRPC callers read it: HTTP 200, and the status in the head (a trailers-only response). */

/** @param message text in ASCII, what `grpc-message` tells; empty: nothing */
export function grpcReplyHeaders(grpcStatus: number, message: string): string {
  const status = `content-type: application/grpc\r\ngrpc-status: ${grpcStatus}\r\n`;
  return message === "" ? status : `${status}grpc-message: ${percentEncoded(message)}\r\n`;
}

/** Percent-encoding of gRPC's PROTOCOL-HTTP2: printable ASCII but `%` stands for itself. */
function percentEncoded(text: string): string {
  return text.replace(
    /[^ -$&-~]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}
