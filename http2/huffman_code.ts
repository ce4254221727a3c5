/** Decoding of the Huffman code of HPACK (RFC 7541 §5.2 and Appendix B). */

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

/** The state in which no code can end and which nothing leaves: EOS was met. */
const failed = 256;

/**
 * The code as an automaton that takes four bits a step, which complete one symbol at most. Its states are the inner
 * nodes of the code's tree, 0 the root. At `16 * state + bits` stands `16 * next state << 9`, with bit 8 set when a
 * symbol is complete, and the symbol. A step has no branch that depends on the input: that makes it fast.
 */
const steps = new Int32Array(16 * (failed + 1));
/** 1 for states in which a string may end: nothing or a padding of up to seven ones stands behind its last symbol. */
const mayEnd = new Uint8Array(failed + 1);
buildAutomaton();

function buildAutomaton(): void {
  // Children of each inner node: the number of a node, or minus the symbol minus one.
  const children: number[][] = [[0, 0]];
  canonicalCodes().forEach((code, symbol) => {
    let node = 0;
    for (let left = codeLengths[symbol] - 1; left > 0; left--) {
      const bit = (code >>> left) & 1;
      if (children[node][bit] === 0) children[node][bit] = children.push([0, 0]) - 1;
      node = children[node][bit];
    }
    children[node][code & 1] = -symbol - 1;
  });
  for (let state = 0; state < failed; state++) {
    for (let bits = 0; bits < 16; bits++) {
      let node = state;
      let emitted = 0;
      for (let left = 3; left >= 0 && node !== failed; left--) {
        node = children[node][(bits >>> left) & 1];
        if (node >= 0) continue;
        const symbol = -node - 1;
        emitted = 256 | symbol & 255;
        node = symbol === 256 ? failed : 0;
      }
      steps[16 * state + bits] = (16 * node) << 9 | emitted;
    }
  }
  steps.fill((16 * failed) << 9, 16 * failed);
  for (let node = 0, ones = 0; ones <= 7; ones++, node = children[node][1]) mayEnd[node] = 1;
}

/**
 * Decodes `source` from `start` to `end` into `target` at `at`, which has room for {@link largestDecodedLength} and one
 * byte more. Returns the end of what was decoded, or -1: EOS inside, padding longer than seven bits or not of ones
 * (§5.2).
 */
export function decodeHuffman(source: Uint8Array, start: number, end: number, target: Uint8Array, at: number): number {
  let state = 0;
  for (let i = start; i < end; i++) {
    const byte = source[i];
    // Written in any case, and written over when no symbol was complete.
    const high = steps[state + (byte >> 4)];
    target[at] = high;
    at += high >> 8 & 1;
    const low = steps[(high >> 9) + (byte & 15)];
    target[at] = low;
    at += low >> 8 & 1;
    state = low >> 9;
  }
  return mayEnd[state >> 4] === 1 ? at : -1;
}
