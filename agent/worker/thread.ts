/** What all parts of one data thread share: its loop, buffers, counters and way to the main thread. */
import { metricSlots } from "../config/shared_memory.ts";
import type { DataThreadMessage, DataThreadStart } from "../config/model.ts";
import type { ThreadLimits } from "../config/thread_limits.ts";
import { AccessLogFiles } from "../record/access_log_file.ts";
import { SeriesTable } from "../record/series.ts";
import { Fields, RequestHead, ResponseHead } from "../decode/head.ts";
import { HeaderSink } from "../decode/hpack/header_sink.ts";
import type { DownstreamConnection } from "../downstream_stream.ts";
import { PipePool } from "../decode/tcp/pipe_pool.ts";
import { Exchange } from "../exchange.ts";
import type { ResponseFraming } from "../respond/response_head.ts";
import type { ListeningAddress } from "../accept/listening_address.ts";
import type { Handshake } from "../accept/handshake.ts";
import { newSlab, type Slab } from "../sys/slab.ts";
import { ByteQueue, SlabPool } from "./buffers.ts";
import { type Load, Overload } from "./overload.ts";
import { EventLoop } from "./event_loop.ts";

/**
 * Bytes taken from a socket at once at the most. Larger than any message head, since a head is parsed in this buffer.
 */
const inputSize = 128 * 1024;

export class DataThread implements Load {
  readonly loop: EventLoop;
  readonly slabs = new SlabPool();
  readonly pipes = new PipePool();
  /** Whatever is read from any socket lands here first, and is used up or copied before the next read. */
  readonly input: Slab = newSlab(inputSize);
  /** Cluster and host counters: see `config/shared_memory.ts`. */
  readonly shared: Int32Array;
  readonly series: SeriesTable;
  readonly logs: AccessLogFiles;
  /** Set once: new work is turned away, connections close when their request is done. */
  draining = false;
  /** Heads are parsed and used up within one event, so that one of each serves all connections. */
  readonly requestHead = new RequestHead(new Fields(this.input.bytes));
  readonly responseHead = new ResponseHead(new Fields(this.input.bytes));
  /** Decoded HTTP/2 header lists, likewise, and the heads that speak of them. */
  readonly headerSink = new HeaderSink();
  readonly http2RequestHead = new RequestHead(this.headerSink.fields);
  readonly http2ResponseHead = new ResponseHead(this.headerSink.fields);
  /** Scratch for header lines and for header blocks being written. */
  readonly headerLines = new ByteQueue(this.slabs);
  readonly headerBlock = new ByteQueue(this.slabs);
  readonly responseFraming: ResponseFraming = { close: false, http10: false, isHead: false, server: new Uint8Array() };
  /** Open connections from callers. */
  readonly downstreams = new Set<DownstreamConnection>();
  /** Connections that are not yet known for what they are. */
  readonly handshakes = new Set<Handshake>();
  /** Where callers come in, by `address port`. */
  readonly addresses = new Map<string, ListeningAddress>();
  readonly #exchanges: Exchange[] = [];
  readonly limits: ThreadLimits;
  readonly overload: Overload;
  /** 0 for the first: what must be done once for all threads is done there. */
  readonly index: number;
  readonly #startedAt: number;
  /** Called when the last of {@link downstreams} has closed. */
  onIdle: () => void = () => {};

  constructor(start: DataThreadStart, readonly post: (message: DataThreadMessage) => void) {
    this.index = start.index;
    this.#startedAt = start.startedAt;
    this.loop = new EventLoop((error) => this.fault(error));
    this.shared = new Int32Array(start.shared);
    this.limits = start.limits;
    this.overload = new Overload(start.limits, this.shared, this);
    this.series = new SeriesTable(new Float64Array(start.metrics, 0, metricSlots), post);
    this.logs = new AccessLogFiles(this.loop, (message) => this.log("warn", message));
  }

  get now(): number {
    return this.loop.now;
  }

  get connections(): number {
    return this.downstreams.size + this.handshakes.size;
  }

  get bufferedBytes(): number {
    return this.slabs.inUse;
  }

  /** The agent's clock for what threads tell each other through shared memory. */
  secondsSinceStart(): number {
    return (performance.timeOrigin + this.loop.now - this.#startedAt) / 1000;
  }

  takeExchange(): Exchange {
    return this.#exchanges.pop() ?? new Exchange(this);
  }

  giveExchange(exchange: Exchange): void {
    this.#exchanges.push(exchange);
  }

  downstreamClosed(connection: DownstreamConnection): void {
    this.downstreams.delete(connection);
    this.overload.publish();
    if (this.downstreams.size === 0) this.onIdle();
  }

  log(
    level: "debug" | "info" | "warn" | "error",
    message: string,
    fields: Record<string, string | number> = {},
  ): void {
    this.post({ kind: "log", level, message, fields });
  }

  /** An exception that should not have been: it costs the event that raised it, and is told. */
  fault(error: unknown): void {
    const text = error instanceof Error ? error.stack ?? error.message : String(error);
    this.log("error", "fault in the data plane", { error: text });
  }
}
