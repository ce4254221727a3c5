/**
 * From Istio's YAML to traffic: a service `backend` with real servers behind it and rules in YAML is compiled as the
 * control plane does, encoded as xDS, translated as an agent does, and carried out by real data threads.
 */
import type { Endpoint, MeshSettings } from "../../routing/mesh.ts";
import { compileEndpoints } from "../../routing/compile/endpoints.ts";
import { compileProxy } from "../../routing/compile/proxy.ts";
import { endpoint, mesh, node, resources, service } from "../../routing/compile/testing/mesh.ts";
import { parseResources } from "../../routing/istio/parse.ts";
import { encodeResource } from "../../routing/xds/resources.ts";
import { secretsOf } from "../../agent/discovery/references.ts";
import { translateResource } from "../../agent/discovery/translate_resource.ts";
import type { Translated } from "../../agent/discovery/translation.ts";
import { clusterType, endpointType, listenerType, routeType } from "../../agent/discovery/type_urls.ts";
import { WorkloadSecrets } from "../../agent/supervisor/workload_secrets.ts";
import { Backend, freePort, TestProxy } from "./harness.ts";

const client = "client";
const port = 9080;

/** A server whose every answer is its name; `status` may be changed meanwhile. */
export class NamedBackend extends Backend {
  constructor(readonly name: string, readonly answer: { status: number } = { status: 200 }) {
    super(() => new Response(name, { status: answer.status }));
  }
}

export interface ServiceOptions {
  /** A traffic policy for `backend`, as YAML flow. */
  trafficPolicy?: string;
  /** What a VirtualService says of its one route to `backend` beside the destination, as YAML flow without braces. */
  route?: string;
  /** Where the client runs: `region/zone/subzone`. */
  locality?: string;
  labels?: Record<string, string>;
  settings?: Partial<MeshSettings>;
  workers?: number;
  /** Folder of credentials. */
  credentials?: string;
}

/** Each server with what the registry says of it. */
export type Served = [{ port: number }, Partial<Endpoint>?];

export class CompiledService implements AsyncDisposable {
  readonly #client;
  readonly #http: Deno.HttpClient;
  readonly #secrets: WorkloadSecrets;

  private constructor(
    readonly proxy: TestProxy,
    readonly options: ServiceOptions,
    readonly httpProxy: { address: string; port: number },
  ) {
    const { locality = "", labels = {} } = options;
    this.#http = Deno.createHttpClient({ proxy: { url: `http://${httpProxy.address}:${httpProxy.port}` } });
    this.#secrets = new WorkloadSecrets({
      workload: client,
      credentials: options.credentials ?? "/nonexistent",
      apply: (change) => proxy.threads.apply(change),
    });
    this.#client = node({ httpProxy, ports: [], service: "", workload: client, locality, labels });
  }

  static async start(served: Served[], options: ServiceOptions = {}): Promise<CompiledService> {
    const httpProxy = { address: "127.0.0.1", port: freePort() };
    const proxy = await TestProxy.start({ proxy: client }, options.workers);
    const compiled = new CompiledService(proxy, options, httpProxy);
    try {
      await compiled.serve(served);
    } catch (error) {
      await compiled[Symbol.asyncDispose]();
      throw error;
    }
    return compiled;
  }

  /** Replaces the servers behind the service. */
  async serve(served: Served[]): Promise<void> {
    const endpoints = served.map(([backend, more]) =>
      endpoint("backend-v1", {
        address: "127.0.0.1",
        ports: { [port]: backend.port },
        tlsMode: "disabled",
        ...more,
      })
    );
    const state = mesh([service("backend", { endpoints, port })], this.#rules(), this.options.settings);
    const snapshot = compileProxy(state, this.#client);
    const change: Translated = { clusters: [], endpoints: [], routes: [], listeners: [], secrets: [] };
    const take = (translated: Translated) => {
      change.clusters.push(...translated.clusters);
      change.endpoints.push(...translated.endpoints);
      change.routes.push(...translated.routes);
      change.listeners.push(...translated.listeners);
      change.secrets.push(...translated.secrets);
    };
    for (const [name, one] of snapshot.clusters) {
      take(translateResource(clusterType, name, encodeResource(one).bytes));
    }
    for (const name of snapshot.endpoints) {
      take(translateResource(endpointType, name, encodeResource(compileEndpoints(state, name, this.#client)).bytes));
    }
    for (const [name, one] of snapshot.routes) take(translateResource(routeType, name, encodeResource(one).bytes));
    for (const [name, one] of snapshot.listeners) {
      // The inbound listener serves a workload that this test does not have.
      if (name.startsWith("http_proxy")) take(translateResource(listenerType, name, encodeResource(one).bytes));
    }
    const names = secretsOf(change.clusters, change.listeners);
    await this.#secrets.provide(names, new Map(change.secrets.map((secret) => [secret.name, secret])));
    await this.proxy.update({ proxy: client, ...change });
  }

  #rules() {
    const { trafficPolicy, route } = this.options;
    const rules = trafficPolicy === undefined ? [] : [`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: backend, namespace: default }
spec: { host: backend, trafficPolicy: ${trafficPolicy} }
`];
    const routes = route === undefined ? [] : [`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: backend, namespace: default }
spec: { hosts: [backend], http: [{ route: [{ destination: { host: backend } }], ${route} }] }
`];
    const yaml = [...rules, ...routes].join("---");
    const problems = parseResources("backend.yaml", yaml).problems.filter(({ severity }) => severity === "error");
    if (problems.length > 0) throw new Error(problems.map(({ message }) => message).join("; "));
    return resources(yaml);
  }

  /** One request; the answer with its body. */
  async request(
    path = "/",
    { host = "backend", ...init }: RequestInit & { host?: string } = {},
  ): Promise<{ status: number; body: string; headers: Headers }> {
    const response = await fetch(`http://${host}:${port}${path}`, { ...init, client: this.#http });
    return { status: response.status, body: await response.text(), headers: response.headers };
  }

  /** How often each answer came in `count` requests; other statuses than 200 by their number. */
  async tally(count: number, init: (i: number) => RequestInit = () => ({})): Promise<Record<string, number>> {
    const answers: Record<string, number> = {};
    for (let i = 0; i < count; i++) {
      const { status, body } = await this.request("/", init(i));
      const key = status === 200 ? body : String(status);
      answers[key] = (answers[key] ?? 0) + 1;
    }
    return answers;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#http.close();
    await this.#secrets.stop();
    await this.proxy[Symbol.asyncDispose]();
  }
}
