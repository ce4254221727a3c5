/** A small mesh on real data threads: two workloads with certificates of one authority. */
import { Authority } from "../../ca/authority/authority.ts";
import { formatSpiffeId } from "../../ca/spiffe/spiffe_id.ts";
import { createCertificateSigningRequest } from "../../ca/x509/signing_request.ts";
import type { ProxySetup } from "./harness.ts";
import {
  Backend,
  cluster,
  connectionManager,
  endpoint,
  endpoints,
  filterChain,
  forwardTo,
  freePort,
  listener,
  route,
  routes,
  TestProxy,
} from "./harness.ts";

/** How a caller names the service `reviews`. */
export const sni = "outbound_.9080_._.reviews.default.svc.cluster.local";

export interface Identity {
  principal: string;
  certificateChain: string;
  privateKey: string;
}

/** A certificate of the mesh for this service account. */
export async function identity(authority: Authority, serviceAccount: string): Promise<Identity> {
  const id = { trustDomain: "cluster.local", namespace: "default", serviceAccount };
  const { csrPem, privateKeyPem } = await createCertificateSigningRequest(id);
  const { chain } = await authority.signWorkload(csrPem, id);
  return { principal: formatSpiffeId(id), certificateChain: chain.join("\n"), privateKey: privateKeyPem };
}

/** Gives a proxy its certificate and trust bundle. */
export async function setSecrets(proxy: TestProxy, name: string, own: Identity, trustBundle: string): Promise<void> {
  const certificate = { certificateChain: own.certificateChain, privateKey: own.privateKey, trustBundle: "" };
  await proxy.threads.apply({ kind: "secret", proxy: name, secret: { name: "default", ...certificate } });
  await proxy.threads.apply({
    kind: "secret",
    proxy: name,
    secret: { name: "ROOTCA", certificateChain: "", privateKey: "", trustBundle },
  });
}

/** Two proxies, `productpage` in front of `reviews`, with mutual TLS between them. */
export class Mesh implements AsyncDisposable {
  readonly outboundPort = freePort();
  readonly inboundPort = freePort();
  private constructor(
    readonly proxy: TestProxy,
    readonly backend: Backend,
    readonly authority: Authority,
    readonly dataDir: string,
  ) {}

  static async start(
    handler: (request: Request) => Response | Promise<Response>,
    expected?: string[],
    workers = 1,
  ): Promise<Mesh> {
    const dataDir = await Deno.makeTempDir();
    const authority = await Authority.open({ dataDir, trustDomain: "cluster.local" });
    const client = await identity(authority, "productpage");
    const server = await identity(authority, "reviews");
    const backend = new Backend(handler);
    const proxy = await TestProxy.start({ principal: client.principal, proxy: "productpage" }, workers);
    const mesh = new Mesh(proxy, backend, authority, dataDir);
    await setSecrets(proxy, "productpage", client, authority.trustBundle());
    await proxy.configure({ proxy: "reviews", principal: server.principal });
    await setSecrets(proxy, "reviews", server, authority.trustBundle());
    await proxy.update(mesh.#inbound());
    await proxy.update(mesh.#outbound(expected ?? [server.principal]));
    return mesh;
  }

  #inbound(): ProxySetup {
    return {
      proxy: "reviews",
      clusters: [cluster({ name: "inbound|9080||" })],
      endpoints: [endpoints("inbound|9080||", [endpoint(this.backend.port)])],
      routes: [
        routes([route({ action: forwardTo("inbound|9080||") })]),
      ],
      listeners: [
        listener(this.inboundPort, {
          direction: "inbound",
          filterChains: [
            filterChain({
              serverNames: [sni],
              transportProtocol: "tls",
              tls: {
                certificate: "default",
                trustBundle: "ROOTCA",
                requireClientCertificate: true,
                alpn: ["h2", "istio-http/1.1"],
                minimumVersion: "1.3",
              },
              http: connectionManager({ forwardClientCertDetails: "APPEND_FORWARD" }),
            }),
          ],
        }),
      ],
    };
  }

  #outbound(expected: string[]): ProxySetup {
    const tls = {
      certificate: "default",
      trustBundle: "ROOTCA",
      sni,
      subjectAltNames: expected,
      alpn: ["h2", "istio-http/1.1"],
    };
    return {
      proxy: "productpage",
      clusters: [cluster({ tls })],
      endpoints: [endpoints("backend", [endpoint(this.inboundPort)])],
      routes: [routes([route()])],
      listeners: [listener(this.outboundPort)],
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    await this.backend[Symbol.asyncDispose]();
    await Deno.remove(this.dataDir, { recursive: true });
  }
}
