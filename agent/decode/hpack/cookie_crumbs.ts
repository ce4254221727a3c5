/** Joining of `cookie` fields, which HTTP/2 may split for compression, before they are sent on (RFC 9113 §8.2.3). */
import { ascii, sameBytes, SEMICOLON, SPACE } from "../characters.ts";
import type { HeaderSink } from "./header_sink.ts";

const name = ascii("cookie");
const nameAndColon = ascii("cookie: ");

/** Makes one field of all `cookie` fields of the list, the last; the others keep their order. */
export function joinCookieCrumbs(list: HeaderSink): void {
  const { fields } = list;
  const count = fields.count;
  // The joined line is first written behind the others; it is not longer than the crumbs' lines together.
  list.reserve(list.end);
  const bytes = list.bytes;
  const joinedStart = list.end;
  bytes.set(nameAndColon, joinedStart);
  let joinedEnd = joinedStart + nameAndColon.length;
  let neverIndexed = 0;
  for (let i = 0; i < count; i++) {
    if (!isCookie(list, i)) continue;
    const start = fields.valueStart(i);
    const end = fields.valueEnd(i);
    neverIndexed |= list.neverIndexed[i];
    // An empty crumb at the end would leave a space there, which HTTP/2 forbids (RFC 9113 §8.2.1).
    if (start === end) continue;
    if (joinedEnd > joinedStart + nameAndColon.length) {
      bytes[joinedEnd++] = SEMICOLON;
      bytes[joinedEnd++] = SPACE;
    }
    bytes.copyWithin(joinedEnd, start, end);
    joinedEnd += end - start;
  }

  // Then the lines close up over the crumbs. Each field is read before its place is written, for none moves back.
  let to = fields.nameStart(0);
  fields.clear();
  for (let i = 0; i < count; i++) {
    if (isCookie(list, i)) continue;
    const start = fields.nameStart(i);
    const nameLength = fields.nameEnd(i) - start;
    const lineLength = fields.valueEnd(i) + 2 - start;
    if (to !== start) bytes.copyWithin(to, start, start + lineLength);
    list.neverIndexed[fields.count] = list.neverIndexed[i];
    fields.add(fields.ids[i], to, to + nameLength, to + nameLength + 2, to + lineLength - 2);
    to += lineLength;
  }
  bytes.copyWithin(to, joinedStart, joinedEnd);
  list.neverIndexed[fields.count] = neverIndexed;
  const length = joinedEnd - joinedStart;
  fields.add(0, to, to + name.length, to + nameAndColon.length, to + length);
  bytes[to + length] = 13;
  bytes[to + length + 1] = 10;
  list.end = to + length + 2;
}

function isCookie(list: HeaderSink, index: number): boolean {
  const start = list.fields.nameStart(index);
  return sameBytes(list.bytes, start, list.fields.nameEnd(index) - start, name);
}
