/** A TCP relay that can go silent, as a network does whose cable is cut: nothing passes and nobody is told. */

export interface FaultyLink {
  readonly port: number;
  /** From now on nothing passes. */
  cut(): void;
  close(): void;
}

/** Relays from a free local port to another. */
export function faultyLink(target: number): FaultyLink {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections = new Set<Deno.TcpConn>();
  let silent = false;
  const relay = async (from: Deno.TcpConn, to: Deno.TcpConn) => {
    const buffer = new Uint8Array(65_536);
    try {
      for (let read = await from.read(buffer); read !== null; read = await from.read(buffer)) {
        for (let sent = 0; !silent && sent < read;) sent += await to.write(buffer.subarray(sent, read));
      }
      if (!silent) await to.closeWrite();
    } catch {
      // One side is gone: so is the relay.
    }
  };
  const accept = async () => {
    for await (const client of listener) {
      const server = await Deno.connect({ hostname: "127.0.0.1", port: target });
      connections.add(client).add(server);
      void Promise.all([relay(client, server), relay(server, client)]);
    }
  };
  const accepting = accept();
  return {
    port: listener.addr.port,
    cut: () => silent = true,
    close() {
      listener.close();
      for (const connection of connections) connection.close();
      void accepting;
    },
  };
}
