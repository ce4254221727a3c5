/** The service that the gRPC tests call: one method of each kind, messages are bytes. */
const same = (bytes) => bytes;

function method(name, requestStream, responseStream) {
  return {
    path: `/echo.Echo/${name}`,
    requestStream,
    responseStream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}

exports.service = {
  unary: method("Unary", false, false),
  collect: method("Collect", true, false),
  spread: method("Spread", false, true),
  chat: method("Chat", true, true),
};
