/**
 * The copy of a request that is mirrored to another cluster, and forgotten: its response is read and dropped. It has
 * bounds of its own and nothing to do with the caller, so that it cannot slow or fail the request it is a copy of.
 */
import type { Cluster, Host } from "../balance/cluster.ts";
import { recordLocalFailure, recordResponse } from "../balance/outliers.ts";
import { ClusterSlot, HostSlot } from "../config/shared_memory.ts";
import { BodyKind } from "../decode/framing.ts";
import type { Fields, ResponseHead } from "../decode/head.ts";
import type { ConnectFailure } from "../upstream/connector.ts";
import type { StreamFailure, UpstreamRequest } from "../upstream/upstream_request.ts";
import type { UpstreamStream } from "../upstream/upstream_stream.ts";
import { ByteQueue } from "../worker/buffers.ts";
import { Timer } from "../worker/timer_wheel.ts";

/** Shadows of one thread at a time, and bytes that they hold while they wait for connections. */
const maximumShadows = 1024;
const maximumWaitingBytes = 16 * 1024 * 1024;
/** Of one shadow. */
const maximumBody = 256 * 1024;
/** Milliseconds, where the route has no timeout: Envoy's default for a route. */
const defaultTimeout = 15_000;

/** This thread's. */
let active = 0;
let waitingBytes = 0;

/** Whether the thread takes no further shadows. */
export function shadowsExhausted(): boolean {
  return active >= maximumShadows || waitingBytes >= maximumWaitingBytes;
}

/** What of a request its shadow is a copy of. */
type Original = Pick<
  UpstreamRequest,
  "head" | "body" | "bodyKind" | "bodyLength" | "requestComplete" | "isHead" | "cameByHttp2"
>;

export class Shadow implements UpstreamRequest {
  readonly head: ByteQueue;
  readonly body: ByteQueue;
  trailers: Fields | null = null;
  readonly upgrade = "";
  readonly bodyKind: number;
  readonly bodyLength: number;
  requestComplete: boolean;
  readonly isHead: boolean;
  readonly cameByHttp2: boolean;
  readonly caller = null;
  readonly responseCongested = false;
  readonly #deadline: Timer;
  #host: Host | null = null;
  #upstream: UpstreamStream | null = null;
  #done = false;

  /** @param keepHost whether the host stays as it is: otherwise it gets Envoy's `-shadow` */
  constructor(private readonly cluster: Cluster, original: Original, keepHost: boolean) {
    this.head = new ByteQueue(cluster.thread.slabs);
    this.body = new ByteQueue(cluster.thread.slabs);
    this.bodyKind = original.bodyKind;
    this.bodyLength = original.bodyLength;
    this.requestComplete = original.requestComplete;
    this.isHead = original.isHead;
    this.cameByHttp2 = original.cameByHttp2;
    this.#deadline = new Timer(() => this.drop());
    copyHead(this.head, original.head, keepHost);
    if (original.body.length > 0) this.#keep(original.body.bytes, original.body.start, original.body.length);
  }

  /** Sends it to a host of its cluster; timeout in milliseconds, 0: the route has none. */
  start(timeout: number): void {
    const { cluster } = this;
    active++;
    Atomics.add(cluster.shared, cluster.config.slot + ClusterSlot.shadows, 1);
    if (this.body.length > maximumBody) return this.drop();
    cluster.thread.loop.setTimer(this.#deadline, timeout > 0 ? timeout : defaultTimeout);
    this.#host = cluster.choose(null, 1);
    if (this.#host === null || !this.#host.pool.request(this)) {
      this.#host = null;
      this.drop();
    }
  }

  onRequestData(bytes: Uint8Array<ArrayBuffer>, offset: number, size: number): void {
    if (this.#done) return;
    if (this.#upstream === null) {
      this.#keep(bytes, offset, size);
      if (this.body.length > maximumBody || waitingBytes > maximumWaitingBytes) this.drop();
    } else if (this.#upstream.congested) this.drop();
    else this.#upstream.sendData(bytes, offset, size);
  }

  onRequestTrailers(fields: Fields): void {
    if (this.#done) return;
    if (this.#upstream === null) this.trailers = fields;
    else this.#upstream.sendTrailers(fields);
  }

  onRequestEnd(): void {
    if (this.#done) return;
    this.requestComplete = true;
    this.#upstream?.sendEnd();
  }

  /** The request it is a copy of is over: what is not whole by now never will be. */
  onOriginalDone(): void {
    if (!this.requestComplete) this.drop();
  }

  /** Gives it up. */
  drop(): void {
    if (this.#done) return;
    Atomics.add(this.cluster.shared, this.cluster.config.slot + ClusterSlot.shadowDrops, 1);
    const upstream = this.#upstream;
    if (upstream === null) this.#host?.pool.withdraw(this);
    this.#finish();
    upstream?.cancel();
  }

  onAttached(stream: UpstreamStream): void {
    this.#release();
    this.#upstream = stream;
    const { shared, config } = this.cluster;
    Atomics.add(shared, config.slot + ClusterSlot.activeRequests, 1);
    Atomics.add(shared, config.slot + ClusterSlot.requests, 1);
    Atomics.add(shared, this.#host!.slot + HostSlot.activeRequests, 1);
  }

  onConnectFailure(_failure: ConnectFailure): void {
    if (this.#done) return;
    recordLocalFailure(this.cluster, this.#host!);
    this.#host = null;
    this.drop();
  }

  onResponseHead(head: ResponseHead): boolean {
    recordResponse(this.cluster, this.#host!, head.status);
    return true;
  }

  onResponseData(): void {}

  onResponseTrailers(): void {}

  onResponseEnd(): void {
    this.#finish();
  }

  onFailure(_failure: StreamFailure): void {
    if (this.#done) return;
    recordLocalFailure(this.cluster, this.#host!);
    this.#finish();
  }

  onRequestDrained(): void {}

  #keep(bytes: Uint8Array, offset: number, size: number): void {
    this.body.append(bytes, offset, size);
    waitingBytes += size;
  }

  /** What was kept has gone out, or is not wanted. */
  #release(): void {
    waitingBytes -= this.body.length;
    this.body.clear();
  }

  #finish(): void {
    if (this.#done) return;
    this.#done = true;
    active--;
    this.cluster.thread.loop.clearTimer(this.#deadline);
    if (this.#upstream !== null) {
      const { shared, config } = this.cluster;
      Atomics.sub(shared, config.slot + ClusterSlot.activeRequests, 1);
      Atomics.sub(shared, this.#host!.slot + HostSlot.activeRequests, 1);
    }
    this.#upstream = null;
    this.#release();
    this.head.clear();
  }
}

const CR = 13;
const COLON = 58;
const hostName = "host: ";
const suffix = "-shadow";

/** Copies a head, whose second line is `host`; the suffix goes before the port. */
function copyHead(to: ByteQueue, from: ByteQueue, keepHost: boolean): void {
  const { bytes, start, end } = from;
  if (keepHost) return to.append(bytes, start, end - start);
  let host = start;
  while (bytes[host] !== CR) host++;
  host += 2 + hostName.length;
  let nameEnd = host;
  while (bytes[nameEnd] !== CR) nameEnd++;
  let colon = nameEnd - 1;
  while (colon > host && bytes[colon] >= 48 && bytes[colon] <= 57) colon--;
  if (colon > host && bytes[colon] === COLON) nameEnd = colon;
  to.append(bytes, start, nameEnd - start);
  to.appendText(suffix);
  to.append(bytes, nameEnd, end - nameEnd);
}

/** Whether requests like this can have shadows: what becomes of a tunnel nobody can foresee. */
export function canBeMirrored(original: UpstreamRequest): boolean {
  return original.upgrade === "" && original.bodyKind !== BodyKind.tunnel;
}
