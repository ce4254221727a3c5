/** Decoding of the Huffman code of HPACK (RFC 7541 §5.2 and Appendix B), a byte of code at a time. */

/** Bits of the code of each byte and, last, of EOS. The code is canonical: the lengths define it. */
// deno-fmt-ignore
export const codeLengths: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
];

/** A symbol has at least five bits: so many bytes may come of `length` bytes of code. */
export function largestDecodedLength(length: number): number {
  return (length * 8 / 5) | 0;
}

/** The code of each symbol (EOS is 256), as the canonical rule gives it: by length, then by symbol. */
export function canonicalCodes(): number[] {
  const codes = new Array<number>(codeLengths.length);
  let code = 0;
  for (let length = 1; length <= 30; length++) {
    code *= 2;
    for (let symbol = 0; symbol < codeLengths.length; symbol++) {
      if (codeLengths[symbol] === length) codes[symbol] = code++;
    }
  }
  return codes;
}

/**
 * A tree of nodes with 256 entries, one for each next byte of code. An entry is 0 where no symbol begins so, positive
 * for a symbol (`symbol << 4 | bits of this byte that belong to it`), negative for a further node (minus its offset).
 */
const tree: Int32Array = buildTree();

function buildTree(): Int32Array {
  const nodes: Int32Array[] = [new Int32Array(256)];
  const codes = canonicalCodes();
  // EOS is left out: to meet it is an error.
  for (let symbol = 0; symbol < 256; symbol++) {
    let node = nodes[0];
    let left = codeLengths[symbol];
    for (; left > 8; left -= 8) {
      const byte = (codes[symbol] >>> (left - 8)) & 255;
      if (node[byte] === 0) node[byte] = -256 * (nodes.push(new Int32Array(256)) - 1);
      node = nodes[node[byte] / -256];
    }
    const first = (codes[symbol] << (8 - left)) & 255;
    node.fill(symbol << 4 | left, first, first + (1 << (8 - left)));
  }
  const flat = new Int32Array(256 * nodes.length);
  nodes.forEach((node, index) => flat.set(node, 256 * index));
  return flat;
}

/**
 * Decodes `source` from `start` to `end` into `target` at `at`, which has room for {@link largestDecodedLength}.
 * Returns the end of what was written, or -1: EOS inside, padding longer than seven bits or not of ones (§5.2).
 */
export function decodeHuffman(source: Uint8Array, start: number, end: number, target: Uint8Array, at: number): number {
  let node = 0;
  let code = 0;
  let bits = 0;
  let sinceSymbol = 0;
  for (let i = start; i < end; i++) {
    code = (code << 8 | source[i]) & 0xffff;
    bits += 8;
    sinceSymbol += 8;
    while (bits >= 8) {
      const entry = tree[node + ((code >>> (bits - 8)) & 255)];
      if (entry > 0) {
        target[at++] = entry >> 4;
        bits -= entry & 15;
        sinceSymbol = bits;
        node = 0;
      } else if (entry < 0) {
        bits -= 8;
        node = -entry;
      } else return -1;
    }
  }
  while (bits > 0) {
    const entry = tree[node + ((code << (8 - bits)) & 255)];
    if (entry <= 0 || (entry & 15) > bits) break;
    target[at++] = entry >> 4;
    bits -= entry & 15;
    sinceSymbol = bits;
    node = 0;
  }
  const padding = (1 << bits) - 1;
  return sinceSymbol > 7 || (code & padding) !== padding ? -1 : at;
}
