/** Messages from Envoy's own JSON, for tests. */
import {
  create,
  createRegistry,
  type DescMessage,
  fromJson,
  type JsonObject,
  type MessageShape,
} from "@bufbuild/protobuf";
import { implementedMessages } from "../strict.ts";
import { UnsupportedConfigurationError } from "../unsupported.ts";

const registry = createRegistry(...implementedMessages.map(({ schema }) => schema));

/** The message in a file of this folder, with top-level fields replaced. */
export function fromFile<Schema extends DescMessage>(
  schema: Schema,
  name: string,
  changes: JsonObject = {},
): MessageShape<Schema> {
  const json = JSON.parse(Deno.readTextFileSync(new URL(name, import.meta.url)));
  return message(schema, { ...json, ...changes });
}

export function message<Schema extends DescMessage>(schema: Schema, json: JsonObject): MessageShape<Schema> {
  return Object.keys(json).length === 0 ? create(schema) : fromJson(schema, json, { registry });
}

/** The path at which translation refuses, or the empty string. */
export function refusedAt(translate: () => unknown): string {
  try {
    translate();
    return "";
  } catch (error) {
    if (error instanceof UnsupportedConfigurationError) return error.path;
    throw error;
  }
}
