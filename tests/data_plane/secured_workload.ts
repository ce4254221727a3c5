/**
 * A workload whose port is guarded by Istio's policies, compiled as the control plane does and carried out by real data
 * threads, and callers with certificates of the mesh.
 */
import { connect as connectTls } from "node:tls";
import { formatSpiffeId } from "../../ca/spiffe/spiffe_id.ts";
import { createCertificateSigningRequest } from "../../ca/x509/signing_request.ts";
import type { Mesh } from "../../routing/mesh.ts";
import { parseResources } from "../../routing/istio/parse.ts";
import { parseMeshConfig } from "../../routing/istio/mesh_config.ts";
import { mesh, node } from "../../routing/compile/testing/mesh.ts";
import type { WorkloadNode } from "../../routing/xds/node.ts";
import { serverName } from "../../routing/xds/names.ts";
import { workloadSetup } from "./configured.ts";
import { Backend, freePort, TestProxy } from "./harness.ts";
import { Http2Peer } from "./http2_peer.ts";
import { TestAuthority } from "./identities.ts";
import type { Identity } from "./mesh.ts";

export interface Caller {
  namespace?: string;
  serviceAccount: string;
}

export interface Answer {
  status: number;
  body: string;
  headers: Headers;
}

export type Protocol = "h1" | "h2";

const workload = "reviews";

export class SecuredWorkload implements AsyncDisposable {
  /** The agent's inbound port, and the workload's own. */
  readonly meshPort = freePort();
  readonly ownPort = freePort();
  readonly #bridges: Deno.Listener[] = [];
  #listeners: string[] = [];
  readonly #identities = new Map<string, Identity>();

  private constructor(
    readonly proxy: TestProxy,
    readonly backend: Backend,
    readonly authority: TestAuthority,
    private readonly meshYaml: string,
    private readonly port: { protocol: string; target: number },
  ) {}

  /** @param options `target`: a port of the test's own instead of an HTTP server that echoes what it gets */
  static async start(
    policies: string,
    options: { protocol?: string; target?: number; meshYaml?: string; handler?: (request: Request) => Response } = {},
  ): Promise<SecuredWorkload> {
    const authority = await TestAuthority.open();
    const backend = new Backend(options.handler ?? echo);
    const proxy = await TestProxy.start({ proxy: workload });
    const port = { protocol: options.protocol ?? "HTTP", target: options.target ?? backend.port };
    const secured = new SecuredWorkload(proxy, backend, authority, options.meshYaml ?? "", port);
    await authority.setSecrets(proxy, workload, await secured.identity({ serviceAccount: "bookinfo-reviews" }));
    await secured.apply(policies);
    return secured;
  }

  get node(): WorkloadNode {
    const { ownPort, port } = this;
    return node({
      workload,
      service: "reviews",
      serviceAccount: "bookinfo-reviews",
      labels: { app: "reviews", version: "v1" },
      address: "127.0.0.1",
      inboundPort: this.meshPort,
      httpProxy: null,
      ports: [{
        name: "",
        number: ownPort,
        protocol: port.protocol,
        targetAddress: "127.0.0.1",
        targetPort: port.target,
      }],
    });
  }

  /** Puts exactly these policies in force; `PORT` in them is the workload's port. */
  async apply(policies: string): Promise<void> {
    const { resources, problems } = parseResources("policies.yaml", policies.replaceAll("PORT", String(this.ownPort)));
    const errors = problems.filter(({ severity }) => severity === "error");
    if (errors.length > 0) throw new Error(errors.map(({ path, message }) => `${path}: ${message}`).join("; "));
    const state: Mesh = mesh([], resources, parseMeshConfig("mesh.yaml", this.meshYaml).settings);
    const setup = workloadSetup(state, this.node);
    const names = new Set(setup.listeners?.map(({ name }) => name));
    const removedListeners = this.#listeners.filter((name) => !names.has(name));
    this.#listeners = [...names];
    await this.proxy.update({ ...setup, removedListeners });
  }

  /** A port of this machine that leads to the workload by this ALPN (several with commas), with the caller's certificate. */
  async connectAs(caller: Caller, alpn: string, port = this.meshPort): Promise<number> {
    const own = await this.identity(caller);
    const bridge = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#bridges.push(bridge);
    void (async () => {
      for await (const connection of bridge) {
        const tls = connectTls({
          host: "127.0.0.1",
          port,
          servername: serverName(this.ownPort, "", "reviews.default.svc.cluster.local"),
          ALPNProtocols: alpn.split(","),
          cert: own.certificateChain,
          key: own.privateKey,
          // Certificates of workloads carry no host names.
          rejectUnauthorized: false,
        });
        void pump(connection, tls);
      }
    })();
    return bridge.addr.transport === "tcp" ? bridge.addr.port : 0;
  }

  async identity({ namespace = "default", serviceAccount }: Caller): Promise<Identity> {
    const key = `${namespace}/${serviceAccount}`;
    let own = this.#identities.get(key);
    if (own === undefined) {
      const id = { trustDomain: "cluster.local", namespace, serviceAccount };
      const { csrPem, privateKeyPem } = await createCertificateSigningRequest(id);
      const { chain } = await this.authority.authority.signWorkload(csrPem, id);
      own = { principal: formatSpiffeId(id), certificateChain: chain.join("\n"), privateKey: privateKeyPem };
      this.#identities.set(key, own);
    }
    return own;
  }

  /** One request over mutual TLS; without a caller, in plaintext at the workload's own port. */
  async request(
    caller: Caller | null,
    protocol: Protocol,
    path: string,
    { method = "GET", host = "reviews", headers = [] }: {
      method?: string;
      host?: string;
      headers?: [string, string][];
    } = {},
  ): Promise<Answer> {
    const port = caller === null ? this.ownPort : await this.connectAs(caller, protocol === "h1" ? "http/1.1" : "h2");
    if (protocol === "h2") {
      using peer = await Http2Peer.connect(port);
      const message = await peer.exchange([
        [":method", method],
        [":scheme", "http"],
        [":path", path],
        [":authority", host],
        ...headers,
      ]);
      const fields = message.fields.filter(([name]) => !name.startsWith(":"));
      return { status: message.status, body: message.text, headers: new Headers(fields as [string, string][]) };
    }
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    const head = `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${lines}Connection: close\r\n\r\n`;
    await connection.write(new TextEncoder().encode(head));
    return parse(await readAll(connection));
  }

  async status(...request: Parameters<SecuredWorkload["request"]>): Promise<number> {
    return (await this.request(...request)).status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const bridge of this.#bridges) bridge.close();
    await this.proxy[Symbol.asyncDispose]();
    await this.backend[Symbol.asyncDispose]();
    await this.authority[Symbol.asyncDispose]();
  }
}

function echo(request: Request): Response {
  return Response.json({
    url: request.url.replace(/^https?:\/\/[^/]*/, ""),
    caller: request.headers.get("x-forwarded-client-cert"),
  });
}

async function pump(connection: Deno.Conn, tls: ReturnType<typeof connectTls>): Promise<void> {
  const close = () => {
    tls.destroy();
    try {
      connection.close();
    } catch {
      // The test has closed it.
    }
  };
  let written = Promise.resolve();
  tls.on("data", (bytes: Uint8Array) => written = written.then(() => writeAll(connection, bytes)).catch(close));
  tls.on("close", () => void written.then(close));
  tls.on("end", () => void written.then(close));
  tls.on("error", close);
  const buffer = new Uint8Array(65536);
  try {
    for (let count = await connection.read(buffer); count !== null; count = await connection.read(buffer)) {
      tls.write(buffer.slice(0, count));
    }
  } catch {
    // It has been closed.
  }
  tls.end();
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}

async function readAll(connection: Deno.Conn): Promise<string> {
  let text = "";
  const buffer = new Uint8Array(65536);
  for (;;) {
    const count = await connection.read(buffer).catch(() => null);
    if (count === null) return text;
    text += new TextDecoder("latin1").decode(buffer.subarray(0, count));
  }
}

function parse(text: string): Answer {
  const [head, ...body] = text.split("\r\n\r\n");
  const [statusLine, ...lines] = head.split("\r\n");
  const fields = lines.map((line) => line.split(/: ?(.*)/s).slice(0, 2) as [string, string]);
  return { status: Number(statusLine.split(" ")[1] ?? 0), body: body.join("\r\n\r\n"), headers: new Headers(fields) };
}
