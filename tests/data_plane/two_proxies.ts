/** A caller's proxy and a receiver's with mutual TLS between them, in front of a backend of the test's own. */
import { Authority } from "../../ca/authority/authority.ts";
import { formatSpiffeId } from "../../ca/spiffe/spiffe_id.ts";
import { createCertificateSigningRequest } from "../../ca/x509/signing_request.ts";
import type { HttpConnectionManagerConfig } from "../../agent/config/model.ts";
import {
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
import type { Way } from "./mesh.ts";

const sni = "outbound_.9080_._.reviews.default.svc.cluster.local";
const alpn = ["h2", "istio-http/1.1"];
const inbound = "inbound|9080||";

export class TwoProxies implements AsyncDisposable {
  /** Where the caller sends its requests. */
  readonly port = freePort();
  private constructor(readonly proxy: TestProxy, readonly receiver: TestProxy, readonly dataDir: string) {}

  /** @param http what both connection managers have besides the defaults */
  static async start(
    backendPort: number,
    http: Partial<HttpConnectionManagerConfig> = {},
    way: Way = "over the wire",
  ): Promise<TwoProxies> {
    const dataDir = await Deno.makeTempDir();
    const authority = await Authority.open({ dataDir, trustDomain: "cluster.local" });
    const proxy = await TestProxy.start({ proxy: "productpage" });
    const other = way === "in process" ? proxy : await TestProxy.start({ proxy: "reviews" });
    const pair = new TwoProxies(proxy, other, dataDir);
    const inboundPort = freePort();
    await other.configure({ proxy: "reviews" });
    const caller = await giveIdentity(proxy, authority, "productpage");
    const receiver = await giveIdentity(other, authority, "reviews");
    await other.update({
      proxy: "reviews",
      clusters: [cluster({ name: inbound })],
      endpoints: [endpoints(inbound, [endpoint(backendPort)])],
      routes: [routes([route({ action: forwardTo(inbound) })])],
      listeners: [
        listener(inboundPort, {
          direction: "inbound",
          filterChains: [
            filterChain({
              serverNames: [sni],
              transportProtocol: "tls",
              tls: { ...caller, requireClientCertificate: true, alpn, minimumVersion: "1.3" },
              http: connectionManager(http),
            }),
          ],
        }),
      ],
    });
    await proxy.update({
      proxy: "productpage",
      clusters: [cluster({ tls: { ...caller, sni, subjectAltNames: [receiver.principal], alpn } })],
      endpoints: [endpoints("backend", [endpoint(inboundPort)])],
      routes: [routes([route()])],
      listeners: [listener(pair.port, { filterChains: [filterChain({ http: connectionManager(http) })] })],
    });
    return pair;
  }

  /** As {@link TestProxy.recorded}, of both sides. */
  recorded(): Record<string, number> {
    const counts = this.proxy.recorded();
    if (this.receiver === this.proxy) return counts;
    for (const [key, count] of Object.entries(this.receiver.recorded())) counts[key] = (counts[key] ?? 0) + count;
    return counts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    if (this.receiver !== this.proxy) await this.receiver[Symbol.asyncDispose]();
    await Deno.remove(this.dataDir, { recursive: true });
  }
}

async function giveIdentity(proxy: TestProxy, authority: Authority, serviceAccount: string) {
  const id = { trustDomain: "cluster.local", namespace: "default", serviceAccount };
  const { csrPem, privateKeyPem } = await createCertificateSigningRequest(id);
  const { chain } = await authority.signWorkload(csrPem, id);
  const none = { certificateChain: "", privateKey: "", trustBundle: "" };
  const own = { ...none, name: "default", certificateChain: chain.join("\n"), privateKey: privateKeyPem };
  const root = { ...none, name: "ROOTCA", trustBundle: authority.trustBundle() };
  for (const secret of [own, root]) {
    await proxy.threads.apply({ kind: "secret", proxy: serviceAccount, secret });
  }
  return { certificate: "default", trustBundle: "ROOTCA", principal: formatSpiffeId(id) };
}
