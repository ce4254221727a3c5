/** A small mesh on real data threads: two workloads with certificates of one authority. */
import { Authority } from "../../ca/authority/authority.ts";
import { formatSpiffeId } from "../../ca/spiffe/spiffe_id.ts";
import { createCertificateSigningRequest } from "../../ca/x509/signing_request.ts";
import type {
  ClusterConfig,
  DownstreamTlsConfig,
  FilterChainConfig,
  HttpConnectionManagerConfig,
  ListenerConfig,
  RouteActionConfig,
} from "../../agent/config/model.ts";
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

/** A certificate of the mesh for this service account. `ttl`: how long it is valid, milliseconds. */
export async function identity(authority: Authority, serviceAccount: string, ttl?: number): Promise<Identity> {
  const { trustDomain } = authority;
  const id = { trustDomain, namespace: "default", serviceAccount };
  const { csrPem, privateKeyPem } = await createCertificateSigningRequest(id);
  const { chain } = await authority.signWorkload(csrPem, id, ttl);
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

/** Where caller and receiver run: in a data plane each, or as two workloads of one agent in one thread. */
export type Way = "over the wire" | "in process";
export const ways: readonly Way[] = ["over the wire", "in process"];

/** A test of what must be the same either way. */
export function testEachWay(name: string, run: (way: Way) => Promise<void>): void {
  for (const way of ways) Deno.test(`${name}, ${way}`, () => run(way));
}

export interface MeshOptions {
  way?: Way;
  workers?: number;
  /** Identities that the caller expects; absent: the receiver's. */
  expected?: string[];
  caller?: {
    cluster?: Partial<ClusterConfig>;
    action?: Partial<RouteActionConfig>;
    listener?: Partial<ListenerConfig>;
  };
  receiver?: {
    http?: Partial<HttpConnectionManagerConfig>;
    chain?: Partial<FilterChainConfig>;
    tls?: Partial<DownstreamTlsConfig>;
    cluster?: Partial<ClusterConfig>;
    listener?: Partial<ListenerConfig>;
  };
}

/** Two proxies, `productpage` in front of `reviews`, with mutual TLS between them. */
export class Mesh implements AsyncDisposable {
  readonly outboundPort = freePort();
  readonly inboundPort = freePort();
  private constructor(
    /** The caller's; the receiver's too where they are in one. */
    readonly proxy: TestProxy,
    readonly receiver: TestProxy,
    readonly backend: Backend,
    readonly authority: Authority,
    readonly dataDir: string,
    private readonly options: MeshOptions,
    /** Where the application listens. */
    private readonly target: number,
  ) {}

  /** @param application answers requests, or is a port where somebody else does */
  static async start(
    application: number | ((request: Request) => Response | Promise<Response>),
    options: MeshOptions = {},
  ): Promise<Mesh> {
    const dataDir = await Deno.makeTempDir();
    const authority = await Authority.open({ dataDir, trustDomain: "cluster.local" });
    const client = await identity(authority, "productpage");
    const server = await identity(authority, "reviews");
    const backend = new Backend(typeof application === "number" ? () => new Response() : application);
    const proxy = await TestProxy.start({ principal: client.principal, proxy: "productpage" }, options.workers);
    const receiver = options.way === "in process"
      ? proxy
      : await TestProxy.start({ principal: server.principal, proxy: "reviews" }, options.workers);
    const target = typeof application === "number" ? application : backend.port;
    const mesh = new Mesh(proxy, receiver, backend, authority, dataDir, options, target);
    await setSecrets(proxy, "productpage", client, authority.trustBundle());
    await receiver.configure({ proxy: "reviews", principal: server.principal });
    await setSecrets(receiver, "reviews", server, authority.trustBundle());
    await receiver.update(mesh.inbound());
    await proxy.update(mesh.outbound(options.expected ?? [server.principal]));
    return mesh;
  }

  /** The receiver's configuration. */
  inbound(overrides: MeshOptions["receiver"] = {}): ProxySetup {
    const receiver = { ...this.options.receiver, ...overrides };
    return {
      proxy: "reviews",
      clusters: [cluster({ name: "inbound|9080||", ...receiver.cluster })],
      endpoints: [endpoints("inbound|9080||", [endpoint(this.target)])],
      routes: [
        routes([route({ action: forwardTo("inbound|9080||") })]),
      ],
      listeners: [
        listener(this.inboundPort, {
          direction: "inbound",
          ...receiver.listener,
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
                ...receiver.tls,
              },
              http: connectionManager({ forwardClientCertDetails: "APPEND_FORWARD", ...receiver.http }),
              ...receiver.chain,
            }),
          ],
        }),
      ],
    };
  }

  /** The caller's. */
  outbound(expected: string[]): ProxySetup {
    const { caller } = this.options;
    const tls = {
      certificate: "default",
      trustBundle: "ROOTCA",
      sni,
      subjectAltNames: expected,
      alpn: ["h2", "istio-http/1.1"],
    };
    return {
      proxy: "productpage",
      clusters: [cluster({ tls, ...caller?.cluster })],
      endpoints: [endpoints("backend", [endpoint(this.inboundPort)])],
      routes: [routes([route({ action: forwardTo("backend", caller?.action) })])],
      listeners: [listener(this.outboundPort, caller?.listener)],
    };
  }

  /** Both reports of all requests. */
  series(): ReturnType<TestProxy["threads"]["series"]> {
    const own = this.proxy.threads.series();
    return this.receiver === this.proxy ? own : [...own, ...this.receiver.threads.series()];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    if (this.receiver !== this.proxy) await this.receiver[Symbol.asyncDispose]();
    await this.backend[Symbol.asyncDispose]();
    await Deno.remove(this.dataDir, { recursive: true });
  }
}
