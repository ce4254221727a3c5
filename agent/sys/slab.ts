/** Memory with its address. */

/** Bytes and where they stand, for calls that take a pointer: taking an address allocates, so it is taken once. */
export interface Slab {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly pointer: Deno.PointerValue;
}

export function newSlab(size: number): Slab {
  const bytes = new Uint8Array(size);
  return { bytes, pointer: Deno.UnsafePointer.of(bytes) };
}
