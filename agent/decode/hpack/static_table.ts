/** The static table of HPACK (RFC 7541 Appendix A) in the layout of {@link DynamicTable}. */
import { ascii } from "../characters.ts";
import { EntryField, entryFields } from "./dynamic_table.ts";
import { traitsOfField, traitsOfName } from "./field_traits.ts";
import { staticFields } from "../../../http2/static_fields.ts";

export const staticCount = staticFields.length;

/** The entries as lines `name: value\r\n`. */
export const staticBytes: Uint8Array<ArrayBuffer> = ascii(
  staticFields.map(([name, value]) => `${name}: ${value}\r\n`).join(""),
);

/** The entries, the first at offset 0. */
export const staticEntries: Int32Array = new Int32Array(entryFields * staticCount);

let lineStart = 0;
staticFields.forEach(([name, value], index) => {
  const at = entryFields * index;
  const nameEnd = lineStart + name.length;
  const valueEnd = nameEnd + 2 + value.length;
  staticEntries[at + EntryField.lineStart] = lineStart;
  staticEntries[at + EntryField.nameLength] = name.length;
  staticEntries[at + EntryField.valueLength] = value.length;
  staticEntries[at + EntryField.traits] = traitsOfField(
    traitsOfName(staticBytes, lineStart, nameEnd),
    staticBytes,
    nameEnd + 2,
    valueEnd,
  );
  lineStart = valueEnd + 2;
});

/** For a hash of a name up to three entries that are the first of their name, 0 for none. */
const perBucket = 4;
const buckets = new Uint8Array(256 * perBucket);

function bucketOf(length: number, first: number, middle: number, last: number): number {
  return ((length * 13 + first * 7 + middle * 31 + last * 3) & 255) * perBucket;
}

staticFields.forEach(([name], index) => {
  if (staticFields.findIndex((field) => field[0] === name) !== index) return;
  const last = name.length - 1;
  let at = bucketOf(name.length, name.charCodeAt(0), name.charCodeAt(name.length >> 1), name.charCodeAt(last));
  while (buckets[at] !== 0) at++;
  buckets[at] = index + 1;
});

/** The index of the first static entry with the name from `start` to `end`, 0 when there is none. */
export function staticNameIndex(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length === 0) return 0;
  const first = bucketOf(length, bytes[start], bytes[start + (length >> 1)], bytes[end - 1]);
  for (let bucket = first; buckets[bucket] !== 0; bucket++) {
    const index = buckets[bucket];
    const at = entryFields * (index - 1);
    if (staticEntries[at + EntryField.nameLength] !== length) continue;
    const line = staticEntries[at + EntryField.lineStart];
    let i = 0;
    while (i < length && staticBytes[line + i] === bytes[start + i]) i++;
    if (i === length) return index;
  }
  return 0;
}
