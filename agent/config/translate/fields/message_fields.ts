/** One row of the tables of what is implemented. */
import type { DescMessage } from "@bufbuild/protobuf";

/** A message type that is implemented, in whole or in part. Field names are those of the .proto files. */
export interface MessageFields {
  schema: DescMessage;
  /** Fields that translation reads; it refuses single values of them where it must. */
  implemented: ReadonlySet<string>;
  /** Fields that may be set but change nothing here, with the reason why that is harmless. */
  ignored: ReadonlyMap<string, string>;
}

/** @param implemented names, separated by blanks */
export function message(
  schema: DescMessage,
  implemented: string,
  ignored: Readonly<Record<string, string>> = {},
): MessageFields {
  return {
    schema,
    implemented: new Set(implemented.split(/\s+/).filter((name) => name !== "")),
    ignored: new Map(Object.entries(ignored)),
  };
}
