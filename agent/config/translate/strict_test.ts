import assert from "node:assert/strict";
import { create, type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import { reflect, type ReflectList, type ReflectMap } from "@bufbuild/protobuf/reflect";
import { anyPack, AnySchema, DurationSchema } from "@bufbuild/protobuf/wkt";
import { OriginalDstSchema } from "../../../routing/xds/gen/envoy/extensions/filters/listener/original_dst/v3/original_dst_pb.ts";
import { FilterSchema } from "../../../routing/xds/gen/envoy/config/listener/v3/listener_components_pb.ts";
import { ListenerSchema } from "../../../routing/xds/gen/envoy/config/listener/v3/listener_pb.ts";
import { RouterSchema } from "../../../routing/xds/gen/envoy/extensions/filters/http/router/v3/router_pb.ts";
import { implementedMessages, refuseUnimplemented } from "./strict.ts";
import { Place, UnsupportedConfigurationError } from "./unsupported.ts";

const place = new Place("message m");

function refusal(schema: DescMessage, message: Message): string | null {
  try {
    refuseUnimplemented(schema, message, place);
    return null;
  } catch (error) {
    assert.ok(error instanceof UnsupportedConfigurationError);
    return error.path;
  }
}

/** A message in which nothing but this field is set, to something other than its default. */
function withOnly(schema: DescMessage, field: DescField): Message {
  const message = reflect(schema, create(schema));
  if (field.fieldKind === "list") {
    const list = message.get(field) as ReflectList;
    list.add(
      field.listKind === "message"
        ? reflect(field.message)
        : sample(field.listKind === "enum" ? undefined : field.scalar),
    );
  } else if (field.fieldKind === "map") {
    const map = message.get(field) as ReflectMap;
    map.set("key", field.mapKind === "message" ? reflect(field.message) : sample(field.scalar));
  } else if (field.fieldKind === "message") {
    const isAny = field.message.typeName === AnySchema.typeName;
    message.set(
      field,
      isAny ? reflect(AnySchema, anyPack(RouterSchema, create(RouterSchema))) : reflect(field.message),
    );
  } else {
    message.set(field, field.fieldKind === "enum" ? field.enum.values.at(-1)!.number : sample(field.scalar));
  }
  assert.ok(message.isSet(field));
  return message.message;
}

function sample(scalar: ScalarType | undefined): unknown {
  switch (scalar) {
    case ScalarType.STRING:
      return "x";
    case ScalarType.BYTES:
      return new Uint8Array([1]);
    case ScalarType.BOOL:
      return true;
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return 1n;
    default:
      return 1;
  }
}

for (const { schema, implemented, ignored } of implementedMessages) {
  Deno.test(`refuses every field of ${schema.typeName} that is not implemented, by its path`, () => {
    for (const field of schema.fields) {
      const path = refusal(schema, withOnly(schema, field));
      if (ignored.has(field.name)) assert.equal(path, null, field.name);
      // An empty message inside may itself be refused, but never the field.
      else if (implemented.has(field.name)) assert.notEqual(path, `message m: ${field.name}`);
      else assert.equal(path, `message m: ${field.name}`);
    }
  });
}

Deno.test("names in the tables are names of fields, each once", () => {
  const types = implementedMessages.map(({ schema }) => schema.typeName);
  assert.deepEqual(types.filter((name, index) => types.indexOf(name) !== index), []);
  for (const { schema, implemented, ignored } of implementedMessages) {
    const names = new Set(schema.fields.map(({ name }) => name));
    for (const name of [...implemented, ...ignored.keys()]) {
      assert.ok(names.has(name), `${schema.typeName} has no field ${name}`);
    }
    for (const name of ignored.keys()) assert.ok(!implemented.has(name), `${schema.typeName}.${name} is in both`);
  }
});

Deno.test("every message that an implemented field leads to is in the tables", () => {
  const known = new Set(implementedMessages.map(({ schema }) => schema.typeName));
  for (const { schema, implemented } of implementedMessages) {
    for (const { name, message } of schema.fields) {
      if (!implemented.has(name) || message === undefined || message.typeName.startsWith("google.protobuf.")) continue;
      assert.ok(known.has(message.typeName), `${schema.typeName}.${name} is a ${message.typeName}`);
    }
  }
});

Deno.test("refuses an unknown type inside an Any", () => {
  const other = create(FilterSchema, {
    configType: { case: "typedConfig", value: anyPack(OriginalDstSchema, create(OriginalDstSchema)) },
  });
  assert.equal(refusal(FilterSchema, other), "message m: typed_config");
  const listener = create(ListenerSchema, { filterChains: [{}, { filters: [other] }] });
  assert.equal(refusal(ListenerSchema, listener), "message m: filter_chains[1].filters[0].typed_config");
});

Deno.test("refuses a field inside an Any by the path through it", () => {
  const router = create(RouterSchema, { suppressEnvoyHeaders: true });
  const filter = create(FilterSchema, { configType: { case: "typedConfig", value: anyPack(RouterSchema, router) } });
  assert.equal(refusal(FilterSchema, filter), "message m: typed_config.suppress_envoy_headers");
});

Deno.test("refuses bytes in an Any that are not its type", () => {
  const typeUrl = `type.googleapis.com/${RouterSchema.typeName}`;
  const broken = create(AnySchema, { typeUrl, value: new Uint8Array([0xff]) });
  assert.equal(
    refusal(FilterSchema, create(FilterSchema, { configType: { case: "typedConfig", value: broken } })),
    "message m: typed_config",
  );
});

Deno.test("refuses fields that are newer than the generated messages", () => {
  const listener = create(ListenerSchema, { name: "l" });
  listener.$unknown = [{ no: 999, wireType: 0, data: new Uint8Array([1]) }];
  assert.equal(refusal(ListenerSchema, listener), "message m: <field 999>");
});

Deno.test("takes well-known types as values", () => {
  assert.equal(refusal(DurationSchema, create(DurationSchema, { seconds: 1n })), null);
});
