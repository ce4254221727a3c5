/** Keeps every connected proxy's configuration up to date with the mesh. */
import type { Authority } from "../../ca/authority/authority.ts";
import { readCertificate } from "../../ca/x509/certificate.ts";
import { logger } from "../../log/log.ts";
import type { CompileWarning } from "../../routing/compile/warning.ts";
import type { Mesh } from "../../routing/mesh.ts";
import type { WorkloadNode } from "../../routing/xds/node.ts";
import type { Caller } from "../grpc/grpc_call.ts";
import { GrpcError, Status } from "../grpc/status.ts";
import { type RegisteredWorkloads, workloadKey } from "../registry/registered_workloads.ts";
import { peerIdentity } from "../sign/peer_identity.ts";
import { Debounce } from "./debounce.ts";
import type { DiscoveryCall, DiscoveryHandler } from "./discovery_service.ts";
import { admitNode } from "./node_admission.ts";
import type { Proxies } from "./proxies.ts";
import { ProxyResources } from "./proxy_resources.ts";
import type { PushMetrics } from "./push_metrics.ts";
import { type PushRequest, PushStream } from "./push_stream.ts";
import { SubscriptionError } from "./subscription.ts";

export interface PusherOptions {
  authority: Authority;
  mesh(): Mesh;
  workloads: RegisteredWorkloads;
  proxies: Proxies;
  metrics: PushMetrics;
}

/** One connected proxy. */
interface Connection<Request extends PushRequest = never> {
  id: string;
  call: Pick<DiscoveryCall, "caller" | "fail">;
  node: WorkloadNode;
  stream: PushStream<Request>;
  resources: ProxyResources | null;
  /** The mesh has changed by this very connection: it is served with the push that says so, not before. */
  awaitsPush: boolean;
}

const log = logger("push");
/** Milliseconds of quiet, and longest wait, before a change is pushed. */
const quiet = 10;
const longest = 100;
/** Milliseconds of work after which others get a turn. */
const slice = 10;
/** Milliseconds for a stream to say whom it is for. */
const firstRequestDeadline = 10_000;
const longestTimer = 2 ** 31 - 1;

export class Pusher {
  readonly #options: PusherOptions;
  readonly #connections = new Map<string, Connection>();
  readonly #calls = new Set<Pick<DiscoveryCall, "fail">>();
  readonly #debounce: Debounce;
  /**
   * What is pushed. All streams go by the state at which the last push began: where a thousand agents register at once,
   * the mesh is not compiled anew for each of them.
   */
  #mesh: Mesh | null = null;
  #changes = 0;
  #stopping = false;

  constructor(options: PusherOptions) {
    this.#options = options;
    this.#debounce = new Debounce({ quiet, longest, run: () => this.#pushAll() });
  }

  /** How many proxies are connected. */
  get connected(): number {
    return this.#connections.size;
  }

  /** What the compilation for the connected proxies warned of. */
  warnings(): CompileWarning[] {
    return [...this.#connections.values()].flatMap(({ resources }) => resources?.warnings ?? []);
  }

  /** The mesh may have changed. */
  changed(): void {
    this.#changes++;
    this.#debounce.changed();
  }

  /** Serves one stream to its end. @throws {GrpcError} for a caller that gets none */
  readonly serve = <Request extends PushRequest>(call: DiscoveryCall<Request>): DiscoveryHandler<Request> => {
    if (this.#stopping) throw stopping();
    const { caller } = call;
    const identity = peerIdentity(caller, this.#options.authority);
    let connection: Connection<Request> | null = null;
    const end = (error: unknown) => {
      const answer = answerTo(error);
      log.warn("stream ended", { remote: caller.remote, workload: nameOf(connection), reason: answer.details });
      call.fail(answer);
    };
    const timers = [
      setTimeout(() => {
        if (connection === null) end(new GrpcError(Status.deadlineExceeded, "no request has come"));
      }, firstRequestDeadline),
      setTimeout(() => {
        end(new GrpcError(Status.unauthenticated, "the certificate of this stream has expired"));
      }, lifetimeOf(caller)),
    ];
    this.#calls.add(call);
    return {
      request: (request) => {
        try {
          connection ??= this.#connect(call, admitNode(request.node, identity));
          connection.stream.request(request);
        } catch (error) {
          end(error);
        }
      },
      closed: () => {
        timers.forEach(clearTimeout);
        this.#calls.delete(call);
        if (connection !== null) this.#disconnect(connection);
        connection = null;
      },
    };
  };

  /** Ends all streams and refuses others. */
  async close(): Promise<void> {
    this.#stopping = true;
    await this.#debounce.close();
    for (const call of [...this.#calls]) call.fail(stopping());
  }

  #connect<Request extends PushRequest>(call: DiscoveryCall<Request>, node: WorkloadNode): Connection<Request> {
    const id = crypto.randomUUID();
    const { metrics, proxies, workloads } = this.#options;
    const workload = workloadKey(node);
    const connection: Connection<Request> = {
      id,
      call,
      node,
      resources: null,
      awaitsPush: false,
      stream: new PushStream({
        subscribe: call.subscribe,
        resources: () => connection.awaitsPush ? null : this.#resourcesOf(connection),
        send: call.send,
        onPush: metrics.pushed,
        onAcknowledge: (_, delay) => metrics.acknowledged(delay),
        onReject(type, reason) {
          metrics.rejected(type);
          log.warn("configuration refused by a proxy", { workload, type, reason });
        },
        onHealth(healthy, reason) {
          log[healthy ? "info" : "warn"]("health reported", { workload, healthy, reason: reason || undefined });
          workloads.setHealth(id, healthy);
        },
        now: Date.now,
      }),
    };
    log.info("proxy connected", { workload, remote: call.caller.remote, version: node.version });
    this.#connections.set(id, connection);
    const before = this.#changes;
    workloads.connect(id, node);
    connection.awaitsPush = this.#changes !== before;
    proxies.connect(id, node, connection.stream);
    return connection;
  }

  #disconnect({ id, node }: Connection): void {
    log.info("proxy disconnected", { workload: workloadKey(node) });
    this.#connections.delete(id);
    this.#options.proxies.disconnect(id, node);
    this.#options.workloads.disconnect(id);
  }

  /** What a mesh that cannot be compiled for a proxy leaves in force is what the proxy has. */
  #resourcesOf(connection: Connection): ProxyResources {
    const mesh = this.#mesh ??= this.#options.mesh();
    if (connection.resources?.mesh === mesh) return connection.resources;
    try {
      connection.resources = new ProxyResources(mesh, connection.node);
    } catch (error) {
      this.#options.metrics.failed();
      const reason = error instanceof Error ? error.stack : String(error);
      log.error("the configuration of a proxy cannot be compiled", { workload: nameOf(connection), reason });
      if (connection.resources === null) throw error;
    }
    return connection.resources;
  }

  async #pushAll(): Promise<void> {
    let begun = performance.now();
    this.#mesh = this.#options.mesh();
    for (const connection of [...this.#connections.values()]) {
      if (performance.now() - begun > slice) {
        await new Promise((resolve) => setTimeout(resolve, 0));
        begun = performance.now();
      }
      if (!this.#connections.has(connection.id)) continue;
      connection.awaitsPush = false;
      try {
        connection.stream.update();
      } catch (error) {
        connection.call.fail(answerTo(error));
      }
    }
  }
}

function stopping(): GrpcError {
  return new GrpcError(Status.unavailable, "the control plane is stopping");
}

function answerTo(error: unknown): GrpcError {
  if (error instanceof GrpcError) return error;
  if (error instanceof SubscriptionError) return new GrpcError(Status.resourceExhausted, error.message);
  log.error("a stream failed", { reason: error instanceof Error ? error.stack : String(error) });
  return new GrpcError(Status.internal, "the control plane cannot serve this stream; its log says why");
}

function nameOf(connection: Connection | null): string | undefined {
  return connection === null ? undefined : workloadKey(connection.node);
}

/** Milliseconds for which the caller's certificate is good. */
function lifetimeOf({ certificate }: Caller): number {
  const left = readCertificate(certificate).notAfter.getTime() - Date.now();
  return Math.max(0, Math.min(left, longestTimer));
}
