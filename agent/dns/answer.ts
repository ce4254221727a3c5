/** What the agent answers to a DNS query: names of the mesh by itself, others as this machine's servers do. */
import { Buffer } from "node:buffer";
// @ts-types="@types/dns-packet"
import { type Answer, decode, encode, type Packet, type Question } from "dns-packet";
import { addressesOf, type NameTable } from "./name_table.ts";

export interface AnswerOptions {
  names(): NameTable;
  /** Passes a query on; rejects when nobody answers. */
  forward(query: Uint8Array): Promise<Uint8Array>;
}

/** Seconds: Istio's default for names of the mesh. */
const lifetime = 30;
/** Queries that are passed on at the same time, at the most. */
const mostForwarded = 256;
const headerLength = 12;
/** RFC 1035 §2.3.4, where the client does not say how much it takes (RFC 6891). */
const smallestLimit = 512;
/** RFC 9715: larger datagrams are cut into pieces on the way. */
const largestDatagram = 1400;

const Flag = { response: 0x8000, authoritative: 0x0400, truncated: 0x0200, wanted: 0x0100, available: 0x0080 };
const Code = { formatError: 1, serverFailure: 2, notImplemented: 4 };

export class Answerer {
  readonly #options: AnswerOptions;
  #forwarded = 0;

  constructor(options: AnswerOptions) {
    this.#options = options;
  }

  /** The answer to a query, cut to what a datagram may carry where it came in one; `null`: it deserves none. */
  async answer(query: Uint8Array, datagram: boolean): Promise<Uint8Array | null> {
    // Answering answers would let two servers talk for ever.
    if (query.length < headerLength || (query[2] & 0x80) !== 0) return null;
    if ((query[2] & 0x78) !== 0) return bare(query, Code.notImplemented);
    const packet = read(query);
    if (packet === null || packet.questions?.length !== 1) return bare(query, Code.formatError);
    const answer = await this.#answer(query, packet);
    return datagram && answer.length > limitOf(packet) ? cut(packet) : answer;
  }

  async #answer(query: Uint8Array, packet: Packet): Promise<Uint8Array> {
    const [question] = packet.questions!;
    const addresses = addressesOf(this.#options.names(), question.name);
    if (addresses !== null) return reply(packet, records(question, addresses), Flag.authoritative);
    if (this.#forwarded >= mostForwarded) return bare(query, Code.serverFailure);
    this.#forwarded++;
    try {
      return await this.#forward(query);
    } catch {
      return bare(query, Code.serverFailure);
    } finally {
      this.#forwarded--;
    }
  }

  /** Under an id of our own: the caller's may be easy to guess. */
  async #forward(query: Uint8Array): Promise<Uint8Array> {
    // A copy: slices of Node's buffers are the same memory.
    const ours = new Uint8Array(query);
    crypto.getRandomValues(ours.subarray(0, 2));
    const answer = new Uint8Array(await this.#options.forward(ours));
    answer.set(query.subarray(0, 2));
    return answer;
  }
}

function read(query: Uint8Array): Packet | null {
  try {
    return decode(Buffer.from(query));
  } catch {
    return null;
  }
}

/** A name of the mesh has IPv4 addresses; of any other type it has nothing, which is not the same as not existing. */
function records({ name, type }: Question, addresses: readonly string[]): Answer[] {
  if (type !== "A") return [];
  return addresses.map((data): Answer => ({ type: "A", name, ttl: lifetime, data }));
}

function reply(packet: Packet, answers: Answer[], flags: number): Uint8Array {
  return encode({
    type: "response",
    id: packet.id,
    flags: Flag.response | flags | (packet.flags ?? 0) & Flag.wanted | Flag.available,
    questions: packet.questions,
    answers,
  });
}

/** The caller asks again over TCP. */
function cut(packet: Packet): Uint8Array {
  return reply(packet, [], Flag.truncated);
}

/** A header alone, for queries of which nothing else can be said. */
function bare(query: Uint8Array, code: number): Uint8Array {
  const answer = new Uint8Array(headerLength);
  answer.set(query.subarray(0, 2));
  answer[2] = 0x80 | query[2] & 0x79;
  answer[3] = Flag.available | code;
  return answer;
}

function limitOf({ additionals = [] }: Packet): number {
  const size = additionals.find(({ type }) => type === "OPT");
  const told = size !== undefined && "udpPayloadSize" in size ? size.udpPayloadSize : 0;
  return Math.min(Math.max(told, smallestLimit), largestDatagram);
}
