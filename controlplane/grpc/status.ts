/** gRPC's status codes (grpc.io, "Status codes and their use in gRPC"), as far as this control plane gives them. */
export const Status = {
  ok: 0,
  cancelled: 1,
  invalidArgument: 3,
  deadlineExceeded: 4,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

export type Status = typeof Status[keyof typeof Status];

/** Ends a call with a status that is not OK; `details` goes to the caller. */
export class GrpcError extends Error {
  override name = "GrpcError";
  constructor(readonly code: Status, readonly details: string, options?: ErrorOptions) {
    super(details, options);
  }
}
