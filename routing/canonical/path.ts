/**
 * One spelling for each path, so that what is matched, judged, forwarded and logged is the same. Works in place on the
 * received bytes: no rule makes a path longer.
 *
 * Source: Envoy's `path_utility.cc` (its `normalize_path`, `merge_slashes` and `path_with_escaped_slashes_action`) and
 * the URL canonicalizer beneath it; Istio's `pathNormalization` chooses among the rules.
 */

export interface PathRules {
  /** RFC 3986 §6.2.2: dot segments are resolved, unreserved characters decoded; and `\` becomes `/`. */
  normalize: boolean;
  /** `//` becomes `/`. */
  mergeSlashes: boolean;
  /** What becomes of `%2F` and `%5C` (either case). Both unescaping values decode them; the caller redirects. */
  escapedSlashes: "keep" | "reject" | "redirect" | "forward";
}

/** The path cannot be brought into a form that all recipients read alike. */
export const REFUSED = -1;

const SLASH = 47;
const BACKSLASH = 92;
const PERCENT = 37;
const DOT = 46;
const E_LOWER = 101;

/** 1 for bytes that may need work: a scan over the path tells most paths from those. */
const special = table((code) => code === PERCENT || code === BACKSLASH);
/** Value of a hexadecimal digit, 255 for other bytes. */
const hexValue = table((code) => {
  const digit = "0123456789abcdef".indexOf(String.fromCharCode(code).toLowerCase());
  return digit < 0 ? 255 : digit;
});
/** 1 for RFC 3986's unreserved characters. */
const unreserved = table((code) => code < 128 && /[A-Za-z0-9\-._~]/.test(String.fromCharCode(code)));

function table(entry: (code: number) => boolean | number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => Number(entry(code)));
}

/** Whether the path from `start` to `end` (without its query) has an escaped slash or backslash. */
export function hasEscapedSlash(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i + 2 < end; i++) {
    if (bytes[i] === PERCENT && escapedSlash(bytes, i) !== 0) return true;
  }
  return false;
}

/**
 * Rewrites the path from `start` to `end` (without its query) in place; returns its new end, or {@link REFUSED}.
 * A target that does not begin with a slash (`*`) is left alone.
 */
export function canonicalizePath(bytes: Uint8Array, start: number, end: number, rules: PathRules): number {
  if (start === end || bytes[start] !== SLASH || isPlain(bytes, start, end)) return end;
  let stop = end;
  if (rules.escapedSlashes !== "keep" && hasEscapedSlash(bytes, start, stop)) {
    if (rules.escapedSlashes === "reject") return REFUSED;
    stop = unescapeSlashes(bytes, start, stop);
  }
  if (rules.normalize) stop = normalize(bytes, start, stop);
  return stop !== REFUSED && rules.mergeSlashes ? mergeSlashes(bytes, start, stop) : stop;
}

/** Whether no rule can have anything to do. */
function isPlain(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const byte = bytes[i];
    if (special[byte] === 1) return false;
    if (byte === SLASH && i + 1 < end && (bytes[i + 1] === SLASH || bytes[i + 1] === DOT)) return false;
  }
  return true;
}

/** The slash that the escape at `position` stands for, 0 where it is none. */
function escapedSlash(bytes: Uint8Array, position: number): number {
  const second = bytes[position + 2] | 32;
  if (bytes[position + 1] === 50 /* 2 */ && second === 102 /* f */) return SLASH;
  return bytes[position + 1] === 53 /* 5 */ && second === 99 /* c */ ? BACKSLASH : 0;
}

function unescapeSlashes(bytes: Uint8Array, start: number, end: number): number {
  let out = start;
  for (let i = start; i < end; i++) {
    const slash = bytes[i] === PERCENT && i + 2 < end ? escapedSlash(bytes, i) : 0;
    bytes[out++] = slash === 0 ? bytes[i] : slash;
    if (slash !== 0) i += 2;
  }
  return out;
}

function normalize(bytes: Uint8Array, start: number, end: number): number {
  let out = start;
  // Where the last percent sign was written that begins no escape: what follows must not become one.
  let bare = -3;
  for (let i = start; i < end;) {
    const byte = bytes[i];
    const dot = dotLength(bytes, i, end);
    if (dot > 0 && out > start && bytes[out - 1] === SLASH) {
      const second = dotLength(bytes, i + dot, end);
      const after = i + dot + second;
      if (after === end || isSlash(bytes[after])) {
        // The slash that ends a dot segment goes with it: the one before it stays.
        i = after === end ? end : after + 1;
        if (second > 0) out = parentSegment(bytes, start, out);
        continue;
      }
    }
    if (dot > 0 && out - bare > 2) {
      bytes[out++] = DOT;
      i += dot;
    } else if (byte === BACKSLASH) {
      bytes[out++] = SLASH;
      i++;
    } else if (byte !== PERCENT) {
      bytes[out++] = byte;
      i++;
    } else {
      const value = escapedByte(bytes, i, end);
      if (value === 0) return REFUSED;
      if (value < 0) {
        bare = out;
        bytes[out++] = PERCENT;
        i++;
      } else if (unreserved[value] === 1 && out - bare > 2) {
        bytes[out++] = value;
        i += 3;
      } else {
        bytes[out++] = PERCENT;
        bytes[out++] = bytes[i + 1];
        bytes[out++] = bytes[i + 2];
        i += 3;
      }
    }
  }
  return out;
}

function isSlash(byte: number): boolean {
  return byte === SLASH || byte === BACKSLASH;
}

/** Length of the dot at `position`, plain or as `%2e`; 0 where there is none. */
function dotLength(bytes: Uint8Array, position: number, end: number): number {
  if (position >= end) return 0;
  if (bytes[position] === DOT) return 1;
  const escaped = position + 2 < end && bytes[position] === PERCENT && bytes[position + 1] === 50 &&
    (bytes[position + 2] | 32) === E_LOWER;
  return escaped ? 3 : 0;
}

/** The byte that the escape at `position` stands for, -1 where it is none. */
function escapedByte(bytes: Uint8Array, position: number, end: number): number {
  if (position + 2 >= end) return -1;
  const high = hexValue[bytes[position + 1]];
  const low = hexValue[bytes[position + 2]];
  return high === 255 || low === 255 ? -1 : high * 16 + low;
}

/** Position behind the slash that ends the segment before the one that ends at `out`; the root has no parent. */
function parentSegment(bytes: Uint8Array, start: number, out: number): number {
  let position = out - 1;
  while (position > start && bytes[position - 1] !== SLASH) position--;
  return position === start ? start + 1 : position;
}

function mergeSlashes(bytes: Uint8Array, start: number, end: number): number {
  let out = start;
  for (let i = start; i < end; i++) {
    if (bytes[i] !== SLASH || out === start || bytes[out - 1] !== SLASH) bytes[out++] = bytes[i];
  }
  return out;
}
