/** A method that answers one message with one message. */
import type { Caller, Method } from "./grpc_call.ts";
import { GrpcError, Status } from "./status.ts";

/** Milliseconds for the request to come. */
const requestDeadline = 20_000;

export interface UnaryMethod {
  /** `/package.Service/Method`. */
  path: string;
  /** Bytes of the largest request that is taken. */
  requestLimit: number;
  /** Answers a request, or throws what ends the call: a {@link GrpcError} with its status. */
  answer(request: Uint8Array, caller: Caller): Promise<Uint8Array>;
}

export function unary({ path, requestLimit, answer }: UnaryMethod): Method {
  return {
    path,
    requestLimit,
    open(call) {
      let request: Uint8Array | null = null;
      const timer = setTimeout(() => {
        call.fail(new GrpcError(Status.deadlineExceeded, "the request has not come"));
      }, requestDeadline);
      return {
        message(bytes) {
          if (request !== null) throw new GrpcError(Status.invalidArgument, "one message is asked for, not several");
          request = bytes;
        },
        end() {
          clearTimeout(timer);
          if (request === null) {
            throw new GrpcError(Status.invalidArgument, "a message is asked for, and none has come");
          }
          answer(request, call.caller).then((response) => {
            call.send(response);
            call.end();
          }, (error) => call.fail(error));
        },
        closed: () => clearTimeout(timer),
      };
    },
  };
}
