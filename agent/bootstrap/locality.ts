import type { JsonObject } from "@bufbuild/protobuf";

/** `region/zone/subzone` as a node of a bootstrap has it. */
export function locality(text: string): JsonObject {
  const [region = "", zone = "", ...subZone] = text.split("/");
  return { region, zone, sub_zone: subZone.join("/") };
}
