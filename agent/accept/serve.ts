/** From accepting to decoding: an accepted connection goes to what its filter chain is for. */
import { Http1ServerConnection } from "../decode/http1/server_connection.ts";
import { Http2ServerConnection } from "../decode/http2/server_connection.ts";
import { TcpRelay } from "../decode/tcp/tcp_relay.ts";
import { TunneledRelay } from "../decode/tcp/tunneled_relay.ts";
import { authorizeConnection, terminationDetails } from "../authorize/authorize.ts";
import { recordDenied } from "../record/tcp.ts";
import type { PlaintextProtocol } from "./http_inspector.ts";
import type { DownstreamLink } from "../downstream_stream.ts";
import type { Socket } from "../sys/socket.ts";
import type { TlsSession } from "../sys/tls_session.ts";
import type { InProcessPair } from "../worker/in_process.ts";
import type { DataThread } from "../worker/thread.ts";

/**
 * Hands over socket and TLS session; whoever takes them owns them. `pair`: the caller is in this thread. `plaintext`: what
 * a connection without TLS was found to speak.
 */
export function serve(
  thread: DataThread,
  socket: Socket,
  tls: TlsSession | null,
  link: DownstreamLink,
  pair: InProcessPair | null = null,
  plaintext: PlaintextProtocol = "",
): void {
  if (link.chain.config.tcp !== null) relay(thread, socket, tls, link);
  else if (plaintext === "h2c") new Http2ServerConnection(thread, socket, null, link);
  else if (tls?.applicationProtocol() !== "h2") new Http1ServerConnection(thread, socket, tls, link);
  else if (pair === null) new Http2ServerConnection(thread, socket, tls, link);
  else new Http2ServerConnection(thread, pair.takeReceiver(tls, socket), null, link);
}

function relay(thread: DataThread, socket: Socket, tls: TlsSession | null, link: DownstreamLink): void {
  const permit = authorizeConnection(link, thread);
  if (permit !== null) {
    const { tunneling } = link.chain.tcp;
    if (tunneling === undefined) new TcpRelay(thread, socket, tls, link, permit);
    else new TunneledRelay(thread, socket, tls, link, tunneling, permit);
    return;
  }
  tls?.close();
  socket.close();
  recordDenied(thread, link, terminationDetails(link));
}
