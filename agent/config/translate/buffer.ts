/** The buffer filter's limits. */
import type {
  Buffer,
  BufferPerRoute,
} from "../../../routing/xds/gen/envoy/extensions/filters/http/buffer/v3/buffer_pb.ts";
import type { Place } from "./unsupported.ts";

/** Name of the buffer filter, by which per-route configuration finds it. */
export const bufferFilter = "envoy.filters.http.buffer";

/** A request that waits is held in memory whole: more than this would let a few callers use it up. */
const largest = 64 * 1024 * 1024;

/** Bytes. */
export function bufferLimit({ maxRequestBytes = 0 }: Buffer, place: Place): number {
  const valid = maxRequestBytes > 0 && maxRequestBytes <= largest;
  place.field("max_request_bytes").require(valid, `want from 1 to ${largest}`);
  return maxRequestBytes;
}

/** `null` where requests are not buffered. */
export function routeBufferLimit({ override }: BufferPerRoute, place: Place): number | null {
  if (override.case === "buffer") return bufferLimit(override.value, place.field("buffer"));
  place.require(override.case === "disabled" && override.value, "want a buffer or disabled: true");
  return null;
}
