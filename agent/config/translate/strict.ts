/**
 * The rule that nothing is ignored: a message is refused when any field is set that is not in the tables of what is
 * implemented, at any depth and inside every `Any`.
 */
import {
  createRegistry,
  type DescField,
  type DescMessage,
  isMessage,
  type Message,
  type MessageShape,
} from "@bufbuild/protobuf";
import { reflect, type ReflectList, type ReflectMap, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import { type Any, AnySchema, anyUnpack } from "@bufbuild/protobuf/wkt";
import { clusterFields } from "./fields/cluster.ts";
import { endpointFields } from "./fields/endpoint.ts";
import { httpConnectionManagerFields } from "./fields/http_connection_manager.ts";
import { listenerFields } from "./fields/listener.ts";
import { type MessageFields } from "./fields/message_fields.ts";
import { routeFields } from "./fields/route.ts";
import { sharedFields } from "./fields/shared.ts";
import { tcpProxyFields } from "./fields/tcp_proxy.ts";
import { rbacFields } from "./fields/rbac.ts";
import { tlsFields } from "./fields/tls.ts";
import type { Place } from "./unsupported.ts";

/** Every message that is implemented, with its fields. */
export const implementedMessages: readonly MessageFields[] = [
  ...listenerFields,
  ...httpConnectionManagerFields,
  ...tcpProxyFields,
  ...routeFields,
  ...clusterFields,
  ...endpointFields,
  ...rbacFields,
  ...tlsFields,
  ...sharedFields,
];

const known = new Map(implementedMessages.map((message) => [message.schema.typeName, message]));
const registry = createRegistry(...implementedMessages.map(({ schema }) => schema));

/**
 * Refuses a message with a set field that is neither implemented nor harmless to ignore.
 *
 * @throws {UnsupportedConfigurationError} with the path of the first such field
 */
export function refuseUnimplemented(schema: DescMessage, message: Message, place: Place): void {
  checkMessage(reflect(schema, message), place);
}

/**
 * The message in an `Any`, where only one type makes sense.
 *
 * @throws {UnsupportedConfigurationError} when it is of another type, or absent
 */
export function unpack<Schema extends DescMessage>(
  any: Message | undefined,
  schema: Schema,
  place: Place,
): MessageShape<Schema> {
  if (!isMessage(any, AnySchema)) return place.refuse(`want a ${schema.typeName}`);
  const message = unpackAny(any, place);
  if (message.$typeName !== schema.typeName) place.refuse(`${message.$typeName} is not implemented here`);
  return message as MessageShape<Schema>;
}

/** Whether the `Any` holds a message of this type. */
export function holds(any: Message | undefined, schema: DescMessage): boolean {
  return isMessage(any, AnySchema) && any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1) === schema.typeName;
}

function unpackAny(any: Any, place: Place): Message {
  let message: Message | undefined;
  try {
    message = anyUnpack(any, registry);
  } catch (error) {
    place.refuse(`${any.typeUrl} cannot be decoded: ${(error as Error).message}`);
  }
  if (message === undefined) place.refuse(`${any.typeUrl || "an Any without a type"} is not implemented`);
  return message;
}

function checkMessage(message: ReflectMessage, place: Place): void {
  if (message.desc.typeName === AnySchema.typeName) {
    const inner = unpackAny(message.message as Any, place);
    return checkMessage(reflect(known.get(inner.$typeName)!.schema, inner), place);
  }
  // Durations, wrappers and structures are values.
  if (message.desc.typeName.startsWith("google.protobuf.")) return;
  const table = known.get(message.desc.typeName);
  if (table === undefined) place.refuse(`${message.desc.typeName} is not implemented`);
  const unknown = message.getUnknown()?.[0];
  if (unknown !== undefined) place.field(`<field ${unknown.no}>`).refuse(`unknown to this version of skiff`);
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    const at = place.field(field.name);
    if (table.implemented.has(field.name)) checkValue(message, field, at);
    else if (!table.ignored.has(field.name)) at.refuse("is not implemented");
  }
}

function checkValue(message: ReflectMessage, field: DescField, at: Place): void {
  if (field.fieldKind === "message") {
    checkMessage(message.get(field) as ReflectMessage, at);
  } else if (field.fieldKind === "list" && field.listKind === "message") {
    let index = 0;
    for (const item of message.get(field) as ReflectList<ReflectMessage>) checkMessage(item, at.item(index++));
  } else if (field.fieldKind === "map" && field.mapKind === "message") {
    for (const [key, value] of message.get(field) as ReflectMap<unknown, ReflectMessage>) {
      checkMessage(value, at.key(String(key)));
    }
  }
}
