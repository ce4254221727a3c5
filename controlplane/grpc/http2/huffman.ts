/** The Huffman code of HPACK (RFC 7541 §5.2 and Appendix B), decoded bit by bit: a control plane has few headers. */

/** Bits of the code of each byte and, last, of EOS. The code is canonical: the lengths define it. */
// deno-fmt-ignore
const codeLengths: readonly number[] = [
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
const endOfString = 256;

/** A symbol, or what follows on a 0 and on a 1. */
type Node = number | [Node | undefined, Node | undefined];
const root = buildTree();

function buildTree(): [Node | undefined, Node | undefined] {
  const tree: [Node | undefined, Node | undefined] = [undefined, undefined];
  let code = 0;
  for (let length = 1; length <= 30; length++) {
    code *= 2;
    for (let symbol = 0; symbol < codeLengths.length; symbol++) {
      if (codeLengths[symbol] !== length) continue;
      let node = tree;
      for (let bit = length - 1; bit > 0; bit--) {
        node = (node[code >>> bit & 1] ??= [undefined, undefined]) as typeof tree;
      }
      node[code & 1] = symbol;
      code++;
    }
  }
  return tree;
}

/** Decodes a string. `null`: EOS inside, or padding that is longer than seven bits or not of ones (§5.2). */
export function decodeHuffman(source: Uint8Array): Uint8Array | null {
  // No symbol has fewer than five bits.
  const target = new Uint8Array(Math.floor(source.length * 8 / 5));
  let length = 0;
  let node = root;
  let padding = 0;
  let onlyOnes = true;
  for (const byte of source) {
    for (let shift = 7; shift >= 0; shift--) {
      const bit = byte >>> shift & 1;
      const next = node[bit]!;
      if (next === endOfString) return null;
      if (typeof next === "number") {
        target[length++] = next;
        node = root;
        padding = 0;
        onlyOnes = true;
      } else {
        node = next;
        padding++;
        onlyOnes &&= bit === 1;
      }
    }
  }
  return padding <= 7 && onlyOnes ? target.subarray(0, length) : null;
}
