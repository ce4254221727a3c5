/** skiff's data threads and a stock Envoy, given the same resources. */
import { type JsonObject, toBinary } from "@bufbuild/protobuf";
import type { DescMessage } from "@bufbuild/protobuf";
import { message } from "../../../agent/config/translate/testdata/envoy_json.ts";
import { secretsOf } from "../../../agent/discovery/references.ts";
import { translateResource } from "../../../agent/discovery/translate_resource.ts";
import type { Translated } from "../../../agent/discovery/translation.ts";
import { clusterType, listenerType } from "../../../agent/discovery/type_urls.ts";
import { WorkloadSecrets } from "../../../agent/supervisor/workload_secrets.ts";
import { ClusterSchema } from "../../../routing/xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { ListenerSchema } from "../../../routing/xds/gen/envoy/config/listener/v3/listener_pb.ts";
import { until } from "../../../scripts/demo/harness/until.ts";
import { freePort, TestProxy } from "../../data_plane/harness.ts";
import { startEnvoy } from "../stock_envoy.ts";
import { type Case, cluster, filter, prefix, type } from "./case.ts";
import { Servers } from "./servers.ts";

export type Side = "skiff" | "envoy";
export const sides: Side[] = ["skiff", "envoy"];

/** Of each request: what it ended with, where it went, by which route. */
const logFormat = "%RESPONSE_CODE% %RESPONSE_FLAGS% %UPSTREAM_CLUSTER%\n";

export class SideBySide implements AsyncDisposable {
  private constructor(
    readonly directory: string,
    private readonly ports: ReadonlyMap<string, Record<Side, number>>,
    private readonly owned: AsyncDisposableStack,
  ) {}

  static async start(envoy: string, cases: readonly Case[]): Promise<SideBySide> {
    await using parts = new AsyncDisposableStack();
    const servers = parts.use(await Servers.start());
    const directory = await Deno.makeTempDir();
    parts.defer(() => Deno.remove(directory, { recursive: true }));
    const { ports } = servers;
    const clusters = [
      ...(["a", "b", "c", "nobody"] as const).map((name) => cluster(name, [ports[name]])),
      ...cases.flatMap((each) => each.clusters?.(ports) ?? []),
    ];
    const listening = new Map(cases.map(({ name }) => [name, { skiff: freePort(), envoy: freePort() }]));
    const listeners = (side: Side) =>
      cases.map((each) => listener(each, listening.get(each.name)![side], `${directory}/${side}.${each.name}.log`));

    const admin = freePort();
    const bootstrap = {
      admin: { address: { socketAddress: { address: "127.0.0.1", portValue: admin } } },
      staticResources: { clusters, listeners: listeners("envoy") },
    };
    const file = `${directory}/envoy.json`;
    await Deno.writeTextFile(file, JSON.stringify(bootstrap));
    const child = await startEnvoy(envoy, "envoy", file, `127.0.0.1:${admin}`);
    parts.defer(async () => void await child.stop());

    const proxy = parts.use(await TestProxy.start({}));
    const secrets = new WorkloadSecrets({
      workload: "client",
      credentials: directory,
      apply: (change) => proxy.threads.apply(change),
    });
    parts.defer(() => secrets.stop());
    const change = translated(clusters, listeners("skiff"));
    const names = secretsOf(change.clusters, change.listeners);
    await secrets.provide(names, new Map(change.secrets.map((secret) => [secret.name, secret])));
    await proxy.update(change);

    return new SideBySide(directory, listening, parts.move());
  }

  port(side: Side, { name }: Case): number {
    return this.ports.get(name)![side];
  }

  /** Lines of a case's access log, once there are `count`, or will not be. */
  async logged(side: Side, { name }: Case, count: number): Promise<string[]> {
    const path = `${this.directory}/${side}.${name}.log`;
    const lines = () => {
      try {
        return Deno.readTextFileSync(path).split("\n").slice(0, -1);
      } catch {
        return [];
      }
    };
    await until("the log is written", () => lines().length >= count, { timeout: 2_000, interval: 10 }).catch(() => {});
    return lines();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.owned.disposeAsync();
  }
}

/** The bytes that would come off the wire, as an agent takes them. */
function translated(clusters: JsonObject[], listeners: JsonObject[]): Translated {
  const change: Translated = { clusters: [], endpoints: [], routes: [], listeners: [], secrets: [] };
  const take = (resourceType: typeof clusterType | typeof listenerType, schema: DescMessage, json: JsonObject) => {
    const one = translateResource(resourceType, String(json.name), toBinary(schema, message(schema, json)));
    change.clusters.push(...one.clusters);
    change.endpoints.push(...one.endpoints);
    change.routes.push(...one.routes);
    change.listeners.push(...one.listeners);
    change.secrets.push(...one.secrets);
  };
  for (const each of clusters) take(clusterType, ClusterSchema, each);
  for (const each of listeners) take(listenerType, ListenerSchema, each);
  return change;
}

function listener(each: Case, port: number, log: string): JsonObject {
  const { manager: { httpFilters = [], ...manager } = {}, networkFilters = [], chain = {} } = each;
  const accessLog = [{
    name: "file",
    typedConfig: {
      ...type("extensions.access_loggers.file.v3.FileAccessLog"),
      path: log,
      logFormat: { textFormatSource: { inlineString: logFormat } },
    },
  }];
  const opaque = networkFilters.some(({ name }) => name === "envoy.filters.network.tcp_proxy");
  const http = {
    name: "envoy.filters.network.http_connection_manager",
    typedConfig: {
      ...type("extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
      statPrefix: each.name,
      accessLog,
      httpFilters: [...httpFilters as JsonObject[], filter("router", "router.v3.Router")],
      routeConfig: {
        name: each.name,
        virtualHosts: each.virtualHosts ??
          [{ name: "all", domains: ["*"], routes: each.routes ?? [prefix("/")], ...each.virtualHost }],
        ...each.routeConfig,
      },
      ...manager,
    },
  };
  const withLog = networkFilters.map((one) =>
    one.name === "envoy.filters.network.tcp_proxy"
      ? { ...one, typedConfig: { ...one.typedConfig as JsonObject, accessLog } }
      : one
  );
  return {
    name: each.name,
    address: { socketAddress: { address: "127.0.0.1", portValue: port } },
    filterChains: [{ name: "one", filters: [...withLog, ...opaque ? [] : [http]], ...chain }],
  };
}
