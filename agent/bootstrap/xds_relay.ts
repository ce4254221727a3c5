/** A way to the control plane for local software that cannot show a certificate: bytes from a Unix socket to mutual TLS. */
import { logger } from "../../log/log.ts";
import type { TlsIdentity } from "../discovery/ads_stream.ts";
import { reasonOf } from "../discovery/reason.ts";

const log = logger("bootstrap");
/** Milliseconds to reach the control plane. */
const connectTimeout = 10_000;
/** One gRPC library holds one connection; more than this is a mistake. */
const connectionLimit = 64;

export interface XdsRelay {
  close(): Promise<void>;
}

/**
 * Listens on a socket that only this user may open. Each connection gets one of its own to a control plane, with the
 * certificate of that moment; what goes over it is the software's own HTTP/2.
 *
 * @param controlPlanes `host:port` each
 */
export function startXdsRelay(path: string, controlPlanes: string[], identity: () => TlsIdentity): XdsRelay {
  removeSocket(path);
  // Made in a directory of mode 0700, so that nobody opens it before its own mode is set.
  const listener = Deno.listen({ transport: "unix", path });
  Deno.chmodSync(path, 0o600);
  const open = new Set<Deno.Conn>();
  const serve = async (client: Deno.UnixConn) => {
    open.add(client);
    let server: Deno.TlsConn | null = null;
    try {
      server = await connect(controlPlanes[Math.floor(Math.random() * controlPlanes.length)], identity());
      open.add(server);
      await Promise.race([client.readable.pipeTo(server.writable), server.readable.pipeTo(client.writable)]);
    } catch (error) {
      log.warn("a connection to the control plane has ended", { reason: reasonOf(error) });
    } finally {
      for (const connection of [client, server]) if (connection !== null && open.delete(connection)) close(connection);
    }
  };
  const accepting = (async () => {
    for await (const client of listener) {
      if (open.size >= 2 * connectionLimit) client.close();
      else void serve(client);
    }
  })();
  return {
    async close() {
      listener.close();
      for (const connection of [...open]) {
        open.delete(connection);
        close(connection);
      }
      await accepting;
      removeSocket(path);
    },
  };
}

async function connect(address: string, { certificateChain, privateKey, trustBundle }: TlsIdentity) {
  const colon = address.lastIndexOf(":");
  const hostname = address.slice(0, colon).replace(/^\[|\]$/g, "");
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer from ${address}`)), connectTimeout);
  const connecting = Deno.connectTls({
    hostname,
    port: Number(address.slice(colon + 1)),
    caCerts: [trustBundle],
    cert: certificateChain,
    key: privateKey,
    alpnProtocols: ["h2"],
  });
  try {
    return await Promise.race([connecting, promise]);
  } catch (error) {
    void connecting.then(close, () => {});
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // Its stream has closed it.
  }
}

function removeSocket(path: string): void {
  try {
    if (Deno.lstatSync(path).isSocket) Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
