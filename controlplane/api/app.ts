/** The REST API (15014): health, metrics, resources, proxies, problems, join tokens. */
import { Hono } from "hono";
import { logger } from "../../log/log.ts";
import type { Mesh } from "../../routing/mesh.ts";
import type { ProxyConfiguration, ProxyStatus } from "../push/proxies.ts";
import type { Store } from "../store/store.ts";
import { type ApiBindings, localCallsOnly } from "./local_calls.ts";
import { configTypes, isNamed, proxyResources } from "./proxy_config.ts";
import { kindOf, listView, resourceView } from "./resource_view.ts";
import { tokenHandler, type TokenRequest } from "./tokens.ts";

/** Something that is not in force as it was written; parts that are not known are absent. */
export interface ReportedProblem {
  severity: "error" | "warning";
  kind: string;
  namespace: string;
  name: string;
  message: string;
  path?: string;
  file?: string;
  line?: number;
  column?: number;
}

export interface ApiOptions {
  store: Store;
  ready(): boolean;
  /** Prometheus text. */
  metrics(): string;
  proxies(): ProxyStatus[];
  /** The connected proxies that are wanted, with what they have. */
  configurations(wanted: (node: ProxyConfiguration["node"]) => boolean): ProxyConfiguration[];
  problems(): ReportedProblem[];
  mesh(): Mesh;
  createToken(request: TokenRequest): Promise<string>;
}

const log = logger("api");

export function apiApp(options: ApiOptions): Hono<{ Bindings: ApiBindings }> {
  const { store } = options;
  const app = new Hono<{ Bindings: ApiBindings }>();
  app.get("/healthz", (c) => c.text("ok\n"));
  app.get("/readyz", (c) => options.ready() ? c.text("ready\n") : c.text("stopping\n", 503));
  app.get("/metrics", (c) => c.body(options.metrics(), 200, { "content-type": "text/plain; version=0.0.4" }));

  app.get("/api/v1/proxies", (c) => c.json(options.proxies()));
  app.get("/api/v1/proxies/:proxy/config/:type", localCallsOnly, (c) => {
    const { proxy, type: word } = c.req.param();
    const type = Object.hasOwn(configTypes, word) ? configTypes[word] : undefined;
    if (type === undefined) {
      return c.json({ error: `no type ${word}`, hint: `one of ${Object.keys(configTypes).join(", ")}` }, 404);
    }
    const found = options.configurations((node) => isNamed(proxy, node));
    if (found.length > 0) return c.json(proxyResources(found, type));
    return c.json(
      { error: `no proxy ${proxy} is connected`, hint: "proxy-status lists them, as PROXY and AGENT" },
      404,
    );
  });
  app.get("/api/v1/problems", (c) => c.json(options.problems()));
  app.get("/api/v1/registry", (c) => {
    const { services, settings: { domain, rootNamespace } } = options.mesh();
    return c.json({ domain, rootNamespace, services: [...services.values()] });
  });
  app.post("/api/v1/tokens", localCallsOnly, tokenHandler(options.createToken));

  app.get("/api/v1/namespaces/:namespace/:kind/:name", async (c) => {
    const { namespace, kind: text, name } = c.req.param();
    const kind = kindOf(text);
    const found = kind === undefined ? null : await store.resource({ kind, namespace, name });
    if (found !== null) return c.json(resourceView(found));
    const error = kind === undefined ? `no kind ${text}` : `no ${kind} ${namespace}/${name}`;
    return c.json({ error, hint: "list them at /api/v1/KIND, such as /api/v1/virtualservices" }, 404);
  });
  app.get("/api/v1/namespaces/:namespace/:kind", async (c) => {
    const { namespace, kind: text } = c.req.param();
    const kind = kindOf(text);
    if (kind === undefined) return c.json({ error: `no kind ${text}`, hint: "such as virtualservices" }, 404);
    const all = await store.resources(kind);
    return c.json(listView(kind, all.filter(({ resource }) => resource.metadata.namespace === namespace)));
  });
  app.on(["PUT", "POST", "PATCH", "DELETE"], "/api/v1/namespaces/*", (c) => {
    c.header("allow", "GET");
    const hint = "edit the files of --config-dir";
    return c.json({ error: "resources are read-only here: they come from the configuration directory", hint }, 405);
  });
  app.get("/api/v1/:kind", async (c) => {
    const kind = kindOf(c.req.param("kind"));
    if (kind === undefined) return c.json({ error: "no such path", hint: "such as /api/v1/virtualservices" }, 404);
    return c.json(listView(kind, await store.resources(kind)));
  });
  app.notFound((c) => c.json({ error: "no such path", hint: "see /api/v1/proxies, /metrics, /healthz" }, 404));
  app.onError((error, c) => {
    log.error("a call failed", { path: c.req.path, reason: error.stack ?? error.message });
    return c.json({ error: "the control plane cannot answer this now", hint: "its log says why" }, 500);
  });
  return app;
}
