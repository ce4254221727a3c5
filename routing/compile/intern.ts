/** One token for equal lists of objects, so that what was compiled from a list is found again by identity. */

/** Stands for a list of objects. Lives as long as somebody holds it and the objects of its list. */
export class ListToken {
  readonly #next = new WeakMap<object, ListToken>();

  /** The token of this list and one more object. */
  with(item: object): ListToken {
    let next = this.#next.get(item);
    if (next === undefined) {
      next = new ListToken();
      this.#next.set(item, next);
    }
    return next;
  }
}

const empty = new ListToken();

/** The token of a list: the same for two lists with the same objects in the same order. */
export function listToken(items: Iterable<object>): ListToken {
  let token = empty;
  for (const item of items) token = token.with(item);
  return token;
}
