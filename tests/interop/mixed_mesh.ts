/**
 * A mesh of two machines, each serving `reviews` and calling others: `skiff` with skiff's agent, `envoy` with a stock Envoy that
 * `skiff envoy-bootstrap` has brought in. The same rules hold for both, so that their answers can be compared.
 */
import { request } from "node:http";
import { stringify } from "yaml";
import { claimLoopbackBlock, type LoopbackBlock } from "../../scripts/demo/harness/loopback.ts";
import { Mesh } from "../../scripts/demo/harness/mesh.ts";
import type { ChildProcess } from "../../scripts/demo/harness/child_process.ts";
import { runSkiff, startSkiff } from "../../scripts/demo/harness/skiff.ts";
import { until } from "../../scripts/demo/harness/until.ts";
import { startEnvoy } from "./stock_envoy.ts";
import { Application } from "./application.ts";

export type Side = "skiff" | "envoy";
export const sides: Side[] = ["skiff", "envoy"];

export const ports = { http: 9080, tcp: 9000, proxy: 15_002 };

/** Of each caller: which case, what it answered, why, and over which cluster. */
const accessLogFormat = "case %REQ(X-CASE)% %RESPONSE_CODE% %RESPONSE_FLAGS% %UPSTREAM_CLUSTER%";

export interface ProxyRequest {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
}

export interface MixedMeshOptions {
  /** Path of Envoy's program. */
  envoy: string;
  /** Istio's resources. */
  rules: string;
  protocol?: "delta" | "state-of-the-world";
}

export class MixedMesh implements AsyncDisposable {
  readonly applications: Record<Side, Application>;
  readonly processes = {} as Record<Side, ChildProcess>;

  private constructor(readonly block: LoopbackBlock, readonly mesh: Mesh) {
    this.applications = {
      skiff: new Application("skiff", this.local("skiff")),
      envoy: new Application("envoy", this.local("envoy")),
    };
  }

  static async start({ envoy, rules, protocol = "delta" }: MixedMeshOptions): Promise<MixedMesh> {
    const block = claimLoopbackBlock(2);
    const meshConfig = stringify({
      trustDomain: "cluster.local",
      accessLogFile: "/dev/stdout",
      accessLogFormat,
      localityLbSetting: { enabled: false },
    });
    const mixed = new MixedMesh(block, new Mesh({ block, meshConfig }));
    try {
      await mixed.begin(envoy, rules, protocol);
      return mixed;
    } catch (error) {
      await mixed[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What peers dial. */
  address(side: Side): string {
    return this.block.machine(side === "skiff" ? 1 : 2);
  }

  /** The workload's own address: its application, and its way into the mesh. */
  local(side: Side): string {
    return this.block.workload(side === "skiff" ? 1 : 2, 1);
  }

  /** Lines of the caller's access log for one case, as `STATUS FLAGS`. */
  async logged(side: Side, name: string, count: number): Promise<string[]> {
    const lines = () =>
      this.processes[side].stdout().split("\n").flatMap((line) => {
        const match = /^case (\S+) (\S+) (\S+) (\S+)$/.exec(line);
        return match !== null && match[1] === name && !match[4].startsWith("inbound|")
          ? [`${match[2]} ${match[3]}`]
          : [];
      });
    try {
      await until(`${count} lines of ${name}`, () => lines().length >= count, { timeout: 3_000 });
    } catch {
      // The comparison says what is missing.
    }
    return lines();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mesh[Symbol.asyncDispose]();
    await Promise.all(sides.map((side) => this.applications[side].close()));
    this.block[Symbol.dispose]();
  }

  private async begin(envoy: string, rules: string, protocol: string): Promise<void> {
    this.mesh.apply(rules);
    await this.mesh.startControlPlane();
    const token = await this.mesh.token(["default/skiff", "default/envoy"], ["--uses=2"]);
    const agent = startSkiff("skiff", [
      "--role=agent",
      `--config=${this.agentFile("skiff")}`,
      `--data-dir=${this.mesh.agentDir("skiff")}`,
      "--workers=1",
      `--token=${token}`,
    ]);
    this.processes.skiff = this.mesh.adopt(agent);
    const bootstrap = await runSkiff([
      "envoy-bootstrap",
      `--config=${this.agentFile("envoy")}`,
      `--data-dir=${this.mesh.agentDir("envoy")}`,
      `--token=${token}`,
      `--protocol=${protocol}`,
    ]);
    if (bootstrap.code !== 0) throw new Error(`skiff envoy-bootstrap: ${bootstrap.stderr}`);
    const file = `${this.mesh.directory}/envoy.json`;
    Deno.writeTextFileSync(file, bootstrap.stdout);
    this.processes.envoy = this.mesh.adopt(await startEnvoy(envoy, "envoy", file, `${this.address("envoy")}:15000`));
    await until("both have their configuration and each other", async () => {
      const answer = await (await fetch(`${this.mesh.api}/api/v1/proxies`)).json();
      const synced = answer.length === 2 &&
        answer.every(({ types }: { types: Record<string, { status: string }> }) =>
          ["CDS", "EDS", "LDS", "RDS"].every((type) => types[type].status === "SYNCED")
        );
      if (!synced) throw new Error(JSON.stringify(answer));
      for (const side of sides) {
        for (const version of sides) {
          const response = await this.request(side, "http://reviews:9080/", { headers: { "x-to": version } });
          const { app } = await response.json();
          if (app !== version) throw new Error(`${side} reaches ${app}, not ${version}`);
        }
      }
      return true;
    }, { timeout: 30_000, explain: () => sides.map((side) => this.processes[side].tail()).join("\n") });
  }

  /**
   * A request of the side's workload, through its proxy port. Not by `fetch`, which looks up the host's name even where a
   * proxy is to do so: with a name server that drops a question now and then that takes 5 s.
   */
  request(side: Side, url: string, { method = "GET", headers = {}, body }: ProxyRequest = {}): Promise<Response> {
    return new Promise((resolve, reject) => {
      const asked = request({
        host: this.local(side),
        port: ports.proxy,
        method,
        path: url,
        headers: { host: new URL(url).host, ...headers, connection: "close" },
        signal: AbortSignal.timeout(10_000),
      }, (answer) => {
        const parts: Uint8Array<ArrayBuffer>[] = [];
        answer.on("data", (part) => parts.push(part));
        answer.on("error", reject);
        answer.on("end", async () => {
          const status = answer.statusCode ?? 0;
          const fields = Object.entries(answer.headersDistinct).flatMap(([name, values = []]) =>
            values.map((value): [string, string] => [name, value])
          );
          const text = [101, 204, 304].includes(status) ? null : await new Blob(parts).text();
          resolve(new Response(text, { status, headers: fields }));
        });
      });
      asked.on("error", reject);
      asked.end(body);
    });
  }

  private agentFile(side: Side): string {
    const path = `${this.mesh.directory}/${side}.yaml`;
    Deno.writeTextFileSync(
      path,
      stringify({
        apiVersion: "skiff.dev/v1",
        kind: "Agent",
        metadata: { name: side },
        spec: {
          controlPlane: `${this.block.controlPlane}:15012`,
          address: this.address(side),
          localAddress: this.address(side),
          vipRange: side === "skiff" ? "127.66.0.0/16" : "127.67.0.0/16",
          workloads: [{
            service: "reviews",
            serviceAccount: side,
            labels: { app: "reviews", version: side },
            localAddress: this.local(side),
            ports: [
              { name: "http", port: ports.http, target: `${this.local(side)}:${ports.http}` },
              { name: "tcp", port: ports.tcp, target: `${this.local(side)}:${ports.tcp}` },
            ],
          }],
        },
      }),
    );
    return path;
  }
}
