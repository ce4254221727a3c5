"""A server and a client of grpcio (the C core) for the service of echo_service.cjs; messages are bytes.

`serve` prints its port and serves until its input ends; `call PORT` makes a call of each kind and prints JSON.
"""

import json
import sys
from concurrent import futures

import grpc

NAME = "echo.Echo"


def unary(request, context):
    code = dict(context.invocation_metadata()).get("x-status")
    context.set_trailing_metadata((("x-trailer", "of the server"),))
    if code is not None:
        context.set_code(next(c for c in grpc.StatusCode if c.value[0] == int(code)))
        context.set_details("asked for")
    return request


def spread(request, context):
    for _ in range(int(dict(context.invocation_metadata())["x-count"])):
        yield request


HANDLERS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Collect": grpc.stream_unary_rpc_method_handler(lambda parts, _: b"".join(parts)),
    "Spread": grpc.unary_stream_rpc_method_handler(spread),
    "Chat": grpc.stream_stream_rpc_method_handler(lambda parts, _: parts),
}


def serve():
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(NAME, HANDLERS),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"port {port}", flush=True)
    sys.stdin.read()
    server.stop(0)


def call(port):
    results = {}
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        method = lambda make, name: make(f"/{NAME}/{name}")
        one = method(channel.unary_unary, "Unary")
        for size in (0, 1, 2_000_000):
            answer, details = one.with_call(bytes(size), timeout=20)
            results[f"unary {size}"] = [len(answer), dict(details.trailing_metadata()).get("x-trailer")]
        try:
            one(b"", timeout=20, metadata=(("x-status", "9"),))
        except grpc.RpcError as error:
            results["status"] = [error.code().value[0], error.details()]
        parts = [bytes(size) for size in (1, 0, 100_000)]
        results["collect"] = len(method(channel.stream_unary, "Collect")(iter(parts), timeout=20))
        stream = method(channel.unary_stream, "Spread")(bytes(1000), timeout=20, metadata=(("x-count", "200"),))
        results["spread"] = sum(len(part) for part in stream)
        results["chat"] = [len(part) for part in method(channel.stream_stream, "Chat")(iter(parts), timeout=20)]
    print(json.dumps(results))


if __name__ == "__main__":
    serve() if sys.argv[1] == "serve" else call(int(sys.argv[2]))
