/** Whether a change of configuration changes anything. */

/** Deep equality of plain JSON data; the order of keys does not count, a key that is `undefined` is as good as none. */
export function sameConfig(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  if (Array.isArray(one) || Array.isArray(other)) {
    return Array.isArray(one) && Array.isArray(other) && one.length === other.length &&
      one.every((item, index) => sameConfig(item, other[index]));
  }
  const left = defined(one);
  const right = defined(other);
  return left.size === right.size &&
    [...left].every(([key, value]) => right.has(key) && sameConfig(value, right.get(key)));
}

function defined(object: object): Map<string, unknown> {
  return new Map(Object.entries(object).filter(([, value]) => value !== undefined));
}
