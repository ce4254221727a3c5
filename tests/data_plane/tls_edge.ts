/** A listener that terminates TLS: from xDS, by an agent's own way, to the certificate that a client sees. */
import { type JsonObject, toBinary } from "@bufbuild/protobuf";
import type { ListenerConfig } from "../../agent/config/model.ts";
import { message } from "../../agent/config/translate/testdata/envoy_json.ts";
import { secretsOf } from "../../agent/discovery/references.ts";
import { translateResource } from "../../agent/discovery/translate_resource.ts";
import { listenerType } from "../../agent/discovery/type_urls.ts";
import { WorkloadSecrets } from "../../agent/supervisor/workload_secrets.ts";
import { type Listener, ListenerSchema } from "../../routing/xds/gen/envoy/config/listener/v3/listener_pb.ts";
import { cluster, endpoint, endpoints, freePort, TestProxy } from "./harness.ts";
import { client, TestRoot } from "./tls_certificates.ts";

const tlsType = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
const tcpProxyType = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";
/** A secret by its name. */
export const sds = (name: string) => ({ name, sdsConfig: { ads: {}, resourceApiVersion: "V3" } });

/** A listener with one chain for each server name: the common TLS context, and what stands beside it. */
function listener(port: number, chains: Record<string, { common: JsonObject; more?: JsonObject }>): Listener {
  return message(ListenerSchema, {
    name: "edge",
    address: { socketAddress: { address: "127.0.0.1", portValue: port } },
    filterChains: Object.entries(chains).map(([name, { common, more }]) => ({
      name,
      filterChainMatch: { serverNames: [name] },
      transportSocket: {
        name: "tls",
        typedConfig: { "@type": tlsType, commonTlsContext: common, ...more },
      },
      filters: [{ name: "tcp", typedConfig: { "@type": tcpProxyType, statPrefix: "tcp", cluster: "backend" } }],
    })),
  });
}

/** An agent's way from a listener off the wire to its data threads, with the folder of its credentials. */
export class Edge implements AsyncDisposable {
  readonly port = freePort();
  readonly credentials: string;
  readonly #secrets: WorkloadSecrets;

  private constructor(readonly proxy: TestProxy, readonly root: TestRoot) {
    this.credentials = `${root.directory}/credentials`;
    this.#secrets = new WorkloadSecrets({
      workload: "client",
      credentials: this.credentials,
      lookInterval: 20,
      apply: (change) => proxy.threads.apply(change),
    });
  }

  static async open(root: TestRoot, backend: number): Promise<Edge> {
    const proxy = await TestProxy.start({
      clusters: [cluster()],
      endpoints: [endpoints("backend", [endpoint(backend)])],
    });
    return new Edge(proxy, root);
  }

  async listen(chains: Parameters<typeof listener>[1]): Promise<ListenerConfig> {
    const value = toBinary(ListenerSchema, listener(this.port, chains));
    const { listeners, secrets } = translateResource(listenerType, "edge", value);
    const names = secretsOf([], listeners);
    await this.#secrets.provide(names, new Map(secrets.map((secret) => [secret.name, secret])));
    await this.proxy.update({ listeners });
    await this.#secrets.release(names);
    return listeners[0];
  }

  /** Puts a new certificate for the name into a credential, the key last. */
  async credential(folder: string, name: string): Promise<void> {
    const { certificate, privateKey } = await this.root.issue(name, `DNS:${name}`);
    await this.write(`${folder}/tls.crt`, certificate);
    await this.write(`${folder}/tls.key`, privateKey);
  }

  /** Replaces a file as a whole. */
  async write(path: string, content: string): Promise<void> {
    const target = `${this.credentials}/${path}`;
    await Deno.mkdir(target.slice(0, target.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(`${target}.new`, content);
    await Deno.rename(`${target}.new`, target);
  }

  /** What a client sees: the subject of the certificate, or why not. */
  async sees(serverName: string, ...args: string[]): Promise<string> {
    const said = await client(this.root, this.port, ["-servername", serverName, ...args], "hello\n");
    return /^hello$/m.test(said) ? /subject=CN ?= ?(.*)/.exec(said)?.[1] ?? "?" : "refused";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#secrets.stop();
    await this.proxy[Symbol.asyncDispose]();
  }
}
