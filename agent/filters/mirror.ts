/** Mirroring: copies of a request go to other clusters (Envoy's `request_mirror_policies`). */
import { ClusterSlot } from "../config/shared_memory.ts";
import type { MirrorConfig } from "../config/model.ts";
import type { UpstreamRequest } from "../upstream/upstream_request.ts";
import { happens } from "../route/route_table.ts";
import type { ProxyState } from "../worker/proxy_state.ts";
import { canBeMirrored, Shadow, shadowsExhausted } from "./shadow.ts";

/** Shadows of no request. */
export const noShadows: readonly Shadow[] = [];

/** Starts the shadows of a request that is about to be forwarded; timeout is the route's, milliseconds. */
export function startShadows(
  original: UpstreamRequest,
  mirrors: readonly MirrorConfig[],
  proxy: ProxyState,
  timeout: number,
): readonly Shadow[] {
  if (!canBeMirrored(original)) return noShadows;
  const shadows: Shadow[] = [];
  for (const { cluster: name, fraction, keepHost } of mirrors) {
    if (fraction !== null && !happens(fraction)) continue;
    const cluster = proxy.clusters.get(name);
    if (cluster === undefined) continue;
    if (shadowsExhausted()) {
      Atomics.add(cluster.shared, cluster.config.slot + ClusterSlot.shadowDrops, 1);
      continue;
    }
    const shadow = new Shadow(cluster, original, keepHost);
    shadows.push(shadow);
    shadow.start(timeout);
  }
  return shadows;
}
