/**
 * Who a request comes from, and what its headers may therefore say: `x-forwarded-for`, `x-forwarded-proto`,
 * `x-request-id` and Envoy's own `x-envoy-…`
 * (https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers and `mutateRequestHeaders` in
 * Envoy's `conn_manager_utility.cc`). No address is internal unless the configuration lists it.
 */
import { BlockList, isIP } from "node:net";
import type { ForwardingConfig, HttpConnectionManagerConfig } from "../config/model.ts";
import { ascii, sameBytes } from "../decode/characters.ts";
import { lineEnd } from "../decode/field_lines.ts";
import type { Fields } from "../decode/head.ts";
import { Known } from "../decode/known_headers.ts";
import type { ByteQueue } from "../worker/buffers.ts";
import { lastAddress } from "./forwarded_addresses.ts";

const prefix = ascii("x-envoy-");
const forwardedFor = ascii("x-forwarded-for: ");
const externalAddress = ascii("x-envoy-external-address: ");
const internalLine = ascii("x-envoy-internal: true\r\n");
const https = ascii("https");
const httpScheme = ascii("x-forwarded-proto: http\r\n");
const httpsScheme = ascii("x-forwarded-proto: https\r\n");

const internalName = ascii("internal");
/** What only internal callers may ask for, behind `x-envoy-`. At the edge nothing of Envoy's own passes. */
const internalOnly = [
  "internal",
  "retriable-status-codes",
  "retriable-header-names",
  "retry-on",
  "retry-grpc-on",
  "max-retries",
  "upstream-alt-stat-name",
  "upstream-rq-timeout-ms",
  "upstream-rq-per-try-timeout-ms",
  "upstream-rq-timeout-alt-response",
  "expected-rq-timeout-ms",
  "force-trace",
  "ip-tags",
  "original-url",
  "hedge-on-per-try-timeout",
].map(ascii);

const defaults: ForwardingConfig = {
  trustedHops: 0,
  skipAppend: false,
  internalRanges: [],
  preserveRequestId: false,
  requestIdInResponse: false,
  via: "",
};

/** What one connection manager makes of its callers' headers. Holds the judgement on the request at hand. */
export class ForwardedHeaders {
  readonly config: ForwardingConfig;
  readonly #atEdge: boolean;
  readonly #internal: BlockList | null = null;
  readonly #viaLine: Uint8Array | null;
  /** Whether the caller is outside and its word does not count. */
  edge = false;
  internal = false;
  /** Whether an internal caller's `x-envoy-expected-rq-timeout-ms` counts. */
  readonly respectsExpected: boolean;
  /** Address of whom the request comes from, as far as it can be trusted. */
  clientAddress = "";
  #peerAddress = "";
  #keepsProto = false;

  /** @param http `null` for a chain that carries no HTTP */
  constructor(http: HttpConnectionManagerConfig | null) {
    this.config = http?.forwarding ?? defaults;
    this.#atEdge = http?.useRemoteAddress ?? false;
    this.respectsExpected = http?.respectExpectedTimeout ?? false;
    this.#viaLine = this.config.via === "" ? null : ascii(`via: ${this.config.via}\r\n`);
    if (this.config.internalRanges.length === 0) return;
    this.#internal = new BlockList();
    for (const { address, length } of this.config.internalRanges) {
      this.#internal.addSubnet(address, length, isIP(address) === 6 ? "ipv6" : "ipv4");
    }
  }

  /** Judges the request and marks as dropped what its caller may not say. */
  judge(fields: Fields, peerAddress: string): void {
    this.#peerAddress = peerAddress;
    const { trustedHops } = this.config;
    const told = fields.has(Known.forwardedFor);
    this.clientAddress = this.#peerAddress;
    this.internal = false;
    if (this.#atEdge) {
      if (trustedHops > 0 && told) {
        this.clientAddress = lastAddress(fields, trustedHops - 1)?.address ?? this.#peerAddress;
      }
      this.internal = !told && this.#isInternal(this.clientAddress);
    } else if (told && this.#internal !== null) {
      const last = lastAddress(fields, trustedHops);
      if (last !== null) this.clientAddress = last.address;
      this.internal = last !== null && last.single && this.#isInternal(last.address);
    }
    this.edge = this.#atEdge && !this.internal;
    this.#dropUntrusted(fields);
    if (this.#atEdge && !this.config.skipAppend) takeOver(fields);
    if (this.edge && !this.config.preserveRequestId) fields.drop(Known.requestId);
    if (this.#atEdge && trustedHops === 0) fields.drop(Known.forwardedProto);
    this.#keepsProto = fields.keeps(Known.forwardedProto);
  }

  #isInternal(address: string): boolean {
    return this.#internal !== null && this.#internal.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
  }

  #dropUntrusted(fields: Fields): void {
    const { bytes } = fields;
    for (let i = 0; i < fields.count; i++) {
      const start = fields.nameStart(i) + prefix.length;
      const size = fields.nameEnd(i) - start;
      if (size <= 0 || fields.dropped[i] !== 0 || !sameBytes(bytes, start - prefix.length, prefix.length, prefix)) {
        continue;
      }
      const untrusted = this.edge ||
        (this.internal ? sameBytes(bytes, start, size, internalName) : isInternalOnly(bytes, start, size));
      if (untrusted) fields.dropped[i] = 1;
    }
  }

  /** Whether the scheme is https, by `x-forwarded-proto` where its speaker is believed; `tls`: the caller came over TLS. */
  isSecure(fields: Fields, tls: boolean): boolean {
    const index = fields.first[Known.forwardedProto];
    if (index < 0 || (this.#atEdge && this.config.trustedHops === 0)) return tls;
    const start = fields.valueStart(index);
    return sameBytes(fields.bytes, start, fields.valueEnd(index) - start, https);
  }

  /** Writes what the proxy says of the caller; `secure`: the caller came over TLS. */
  append(fields: Fields, out: ByteQueue, secure: boolean): void {
    if (this.#atEdge && !this.config.skipAppend) this.#appendForwardedFor(fields, out);
    if (!this.#keepsProto) out.appendAll(secure ? httpsScheme : httpScheme);
    if (this.edge) {
      out.appendAll(externalAddress);
      out.appendText(this.clientAddress);
      out.appendAll(lineEnd);
    }
    if (this.internal) out.appendAll(internalLine);
    if (this.#viaLine !== null) out.appendAll(this.#viaLine);
  }

  /** One line for all that came: some applications read only the first of several. */
  #appendForwardedFor(fields: Fields, out: ByteQueue): void {
    out.appendAll(forwardedFor);
    for (let i = Math.max(fields.first[Known.forwardedFor], 0); i < fields.count; i++) {
      if (fields.ids[i] !== Known.forwardedFor || fields.dropped[i] !== takenOver) continue;
      const start = fields.valueStart(i);
      out.append(fields.bytes, start, fields.valueEnd(i) - start);
      out.appendText(",");
    }
    out.appendText(this.#peerAddress);
    out.appendAll(lineEnd);
  }
}

/** Marks lines that are not forwarded as they are, but within a new one. */
const takenOver = 2;

function takeOver(fields: Fields): void {
  if (!fields.has(Known.forwardedFor)) return;
  for (let i = fields.first[Known.forwardedFor]; i < fields.count; i++) {
    if (fields.ids[i] === Known.forwardedFor && fields.dropped[i] === 0) fields.dropped[i] = takenOver;
  }
}

function isInternalOnly(bytes: Uint8Array, start: number, size: number): boolean {
  for (let i = 0; i < internalOnly.length; i++) {
    if (sameBytes(bytes, start, size, internalOnly[i])) return true;
  }
  return false;
}
