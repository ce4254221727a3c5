/** Refusing configuration: what is refused, where it stands, and why. */

/**
 * A resource asks for something that no data thread implements, or that is not valid. The agent answers it with a NACK
 * that carries {@link message}, and keeps the last good configuration.
 */
export class UnsupportedConfigurationError extends Error {
  override readonly name = "UnsupportedConfigurationError";

  /** @param path `listener virtualInbound: filter_chains[0].filters[0].typed_config.tracing`: names as in the .proto files */
  constructor(readonly path: string, reason: string) {
    super(`${path}: ${reason}`);
  }
}

/** Where in a resource a value stands. */
export class Place {
  readonly #resource: string;
  readonly #path: string;

  /** @param resource kind and name, such as `cluster outbound|80||a.example` */
  constructor(resource: string, path = "") {
    this.#resource = resource;
    this.#path = path;
  }

  /** A field of the message that stands here. A dotted name leads further down. */
  field(name: string): Place {
    return new Place(this.#resource, this.#path === "" ? name : `${this.#path}.${name}`);
  }

  /** An element of the list that stands here. */
  item(index: number): Place {
    return new Place(this.#resource, `${this.#path}[${index}]`);
  }

  /** A value of the map that stands here. */
  key(key: string): Place {
    return new Place(this.#resource, `${this.#path}[${JSON.stringify(key)}]`);
  }

  toString(): string {
    return this.#path === "" ? this.#resource : `${this.#resource}: ${this.#path}`;
  }

  /** @throws {UnsupportedConfigurationError} always */
  refuse(reason: string): never {
    throw new UnsupportedConfigurationError(this.toString(), reason);
  }

  /** Refuses unless the condition holds. */
  require(condition: boolean, reason: string): void {
    if (!condition) this.refuse(reason);
  }
}
