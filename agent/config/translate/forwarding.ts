/** What callers may say of themselves in headers. */
import { isIP } from "node:net";
import type { HttpConnectionManager } from "../../../routing/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import type { ForwardingConfig } from "../model.ts";
import type { Place } from "./unsupported.ts";

/** `null` where the connection manager says nothing of it. */
export function forwardingConfig(manager: HttpConnectionManager, place: Place): ForwardingConfig | null {
  const ranges = manager.internalAddressConfig?.cidrRanges ?? [];
  const config: ForwardingConfig = {
    trustedHops: manager.xffNumTrustedHops,
    skipAppend: manager.skipXffAppend,
    internalRanges: ranges.map(({ addressPrefix, prefixLen = 0 }, index) => {
      const at = place.field("internal_address_config.cidr_ranges").item(index);
      const family = isIP(addressPrefix);
      at.field("address_prefix").require(family !== 0, `want an IP address, found ${JSON.stringify(addressPrefix)}`);
      at.field("prefix_len").require(prefixLen <= (family === 4 ? 32 : 128), "is longer than the address");
      return { address: addressPrefix, length: prefixLen };
    }),
    preserveRequestId: manager.preserveExternalRequestId,
    requestIdInResponse: manager.alwaysSetRequestIdInResponse,
    via: manager.via,
  };
  // deno-lint-ignore no-control-regex -- these bytes would end the header
  place.field("via").require(!/[\x00-\x1f\x7f]/.test(config.via), "want no control characters");
  const says = config.trustedHops > 0 || config.skipAppend || ranges.length > 0 || config.preserveRequestId ||
    config.requestIdInResponse || config.via !== "";
  return says ? config : null;
}
