/** What a request has in common with those that shall go to the same host: a hash by the policies of its route. */
import type { HashPolicyConfig } from "../config/model.ts";
import { ascii, sameBytes } from "../decode/characters.ts";
import type { Fields, RequestHead } from "../decode/head.ts";
import { Hash64, xxHash64 } from "../../routing/balance/xx_hash.ts";

/** The ends of the caller's connection, as text. */
export interface HashedConnection {
  /** `address:port` of the caller. */
  remoteAddress: string;
  /** `address:port` that the caller dialled. */
  localAddress: string;
}

/** Called with the value of a `set-cookie` header for the response. */
type SetCookie = (value: string) => void;

/** One part of the hash: writes it to `out`; false where the request has nothing to hash. */
type Part = (head: RequestHead, connection: HashedConnection, out: Hash64, setCookie: SetCookie) => boolean;

/** A route's hash policies, compiled. */
export class HashPolicies {
  readonly #parts: { part: Part; terminal: boolean }[];
  readonly #scratch = new Hash64();

  constructor(policies: readonly HashPolicyConfig[]) {
    this.#parts = policies.map((policy) => ({ part: compile(policy), terminal: policy.terminal }));
  }

  /** Hashes into `out`; false where no policy applies. */
  hash(head: RequestHead, connection: HashedConnection, out: Hash64, setCookie: SetCookie): boolean {
    let hashed = false;
    out.high = out.low = 0;
    for (const { part, terminal } of this.#parts) {
      const { high, low } = out;
      if (part(head, connection, this.#scratch, setCookie)) {
        // Turned by one bit, so that equal parts do not cancel each other out, as in Envoy.
        out.high = (((high << 1) | (low >>> 31)) ^ this.#scratch.high) >>> 0;
        out.low = (((low << 1) | (high >>> 31)) ^ this.#scratch.low) >>> 0;
        hashed = true;
      }
      if (terminal && hashed) break;
    }
    return hashed;
  }
}

function compile(policy: HashPolicyConfig): Part {
  switch (policy.kind) {
    case "header":
      return headerPart(policy.name);
    case "cookie":
      return cookiePart(policy);
    case "sourceAddress":
      return (_head, { remoteAddress }, out) => {
        const address = ascii(withoutPort(remoteAddress));
        xxHash64(address, 0, address.length, out);
        return true;
      };
    case "queryParameter":
      return queryParameterPart(policy.name);
  }
}

function headerPart(name: string): Part {
  const nameBytes = ascii(name);
  if (name === ":path") {
    return ({ fields, pathStart, pathEnd }, _connection, out) => hashRange(fields, pathStart, pathEnd, out);
  }
  if (name === ":method") {
    return ({ fields, methodStart, methodEnd }, _connection, out) => hashRange(fields, methodStart, methodEnd, out);
  }
  if (name === ":authority" || name === "host") {
    return (head, _connection, out) => hashRange(head.fields, head.authorityStart, head.authorityEnd, out);
  }
  return ({ fields }, _connection, out) => {
    const first = fields.find(nameBytes);
    if (first < 0) return false;
    if (fields.find(nameBytes, first + 1) < 0) {
      return hashRange(fields, fields.valueStart(first), fields.valueEnd(first), out);
    }
    // The order of several values does not matter, as in Envoy.
    const values: string[] = [];
    for (let i = first; i >= 0; i = fields.find(nameBytes, i + 1)) values.push(fields.value(i));
    out.high = out.low = 0;
    for (const value of values.sort()) {
      const bytes = ascii(value);
      xxHash64(bytes, 0, bytes.length, out, out.high, out.low);
    }
    return true;
  };
}

function cookiePart({ name, path, ttl, attributes }: HashPolicyConfig & { kind: "cookie" }): Part {
  const attributeText = (ttl ? `; Max-Age=${ttl}` : "") + (path === "" ? "" : `; Path=${path}`) +
    attributes.map((one) => one.value === "" ? `; ${one.name}` : `; ${one.name}=${one.value}`).join("") + "; HttpOnly";
  const cookieHeader = ascii("cookie");
  const nameBytes = ascii(name);
  return ({ fields }, connection, out, setCookie) => {
    for (let i = fields.find(cookieHeader); i >= 0; i = fields.find(cookieHeader, i + 1)) {
      if (hashCookie(fields, i, nameBytes, out)) return true;
    }
    if (ttl === null) return false;
    // The same for all requests of a connection, so that those in flight together get one cookie, as in Envoy.
    const ends = ascii(connection.remoteAddress + connection.localAddress);
    xxHash64(ends, 0, ends.length, out);
    const value = out.toString();
    setCookie(`${name}="${value}"${attributeText}`);
    const bytes = ascii(value);
    xxHash64(bytes, 0, bytes.length, out);
    return true;
  };
}

/** Hashes the value of a cookie in one `cookie` header; false where it is not in it or is empty. */
function hashCookie(fields: Fields, index: number, name: Uint8Array, out: Hash64): boolean {
  const { bytes } = fields;
  const last = fields.valueEnd(index);
  let at = fields.valueStart(index);
  while (at < last) {
    while (at < last && (bytes[at] === 32 || bytes[at] === 59 /* ; */)) at++;
    let end = at;
    while (end < last && bytes[end] !== 59) end++;
    let equals = at;
    while (equals < end && bytes[equals] !== 61 /* = */) equals++;
    if (equals < end && sameBytes(bytes, at, equals - at, name)) {
      let from = equals + 1;
      let to = end;
      while (to > from && bytes[to - 1] === 32) to--;
      if (to - from >= 2 && bytes[from] === 34 /* " */ && bytes[to - 1] === 34) {
        from++;
        to--;
      }
      if (to > from) return hashRange(fields, from, to, out);
    }
    at = end;
  }
  return false;
}

function queryParameterPart(name: string): Part {
  const nameBytes = ascii(name);
  return ({ fields, queryStart, pathEnd }, _connection, out) => {
    const { bytes } = fields;
    let start = queryStart + 1;
    while (start <= pathEnd && queryStart < pathEnd) {
      let end = start;
      while (end < pathEnd && bytes[end] !== 38 /* & */) end++;
      let equals = start;
      while (equals < end && bytes[equals] !== 61 /* = */) equals++;
      if (sameBytes(bytes, start, equals - start, nameBytes)) {
        return hashRange(fields, Math.min(equals + 1, end), end, out);
      }
      start = end + 1;
    }
    return false;
  };
}

function hashRange({ bytes }: Fields, start: number, end: number, out: Hash64): boolean {
  xxHash64(bytes, start, end, out);
  return true;
}

export function withoutPort(address: string): string {
  return address.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
}
