/** `ConnectionPoolSettings` and `OutlierDetection` of a traffic policy. */
import { list, message } from "../../yaml/collections.ts";
import { boolean, enumeration, integer, type Schema } from "../../yaml/schema.ts";
import { duration } from "../duration.ts";
import type { ConnectionPoolSettings, OutlierDetection } from "../types.ts";

const count = integer(0, 2 ** 31 - 1);
const unsigned = integer(0, 2 ** 32 - 1);

type Tcp = NonNullable<ConnectionPoolSettings["tcp"]>;
type Http = NonNullable<ConnectionPoolSettings["http"]>;

/** `tcpKeepalive` of a connection pool and of MeshConfig. */
export const tcpKeepalive: Schema<NonNullable<Tcp["tcpKeepalive"]>> = message<NonNullable<Tcp["tcpKeepalive"]>>({
  probes: unsigned,
  time: duration(),
  interval: duration(),
});

const tcp = message<Tcp>({
  maxConnections: count,
  connectTimeout: duration(),
  tcpKeepalive,
  maxConnectionDuration: duration(),
  idleTimeout: duration({ zero: true }),
});

const http = message<Http>({
  http1MaxPendingRequests: count,
  http2MaxRequests: count,
  maxRequestsPerConnection: count,
  maxRetries: count,
  idleTimeout: duration(),
  h2UpgradePolicy: enumeration("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"),
  useClientProtocol: boolean,
  maxConcurrentStreams: count,
  http2KeepAlive: message<NonNullable<Http["http2KeepAlive"]>>({ interval: duration(), timeout: duration() }),
}, ({ h2UpgradePolicy, useClientProtocol }, cursor) => {
  if (h2UpgradePolicy === "UPGRADE" && useClientProtocol) {
    cursor.atKey("useClientProtocol").error("cannot stand beside h2UpgradePolicy UPGRADE");
  }
  for (const name of ["interval", "timeout"]) {
    const keepAlive = cursor.at("http2KeepAlive");
    if (cursor.has("http2KeepAlive") && !keepAlive.has(name)) keepAlive.at(name).error("is required");
  }
});

export const connectionPool: Schema<ConnectionPoolSettings> = message<ConnectionPoolSettings>(
  { tcp, http },
  (_, cursor) => {
    if (!cursor.has("tcp") && !cursor.has("http")) cursor.error("must set tcp or http");
  },
);

const percentage = integer(0, 100);

export const outlierDetection: Schema<OutlierDetection> = message<OutlierDetection>({
  consecutiveErrors: count,
  splitExternalLocalOriginErrors: boolean,
  consecutiveLocalOriginFailures: unsigned,
  consecutiveGatewayErrors: unsigned,
  consecutive5xxErrors: unsigned,
  interval: duration(),
  baseEjectionTime: duration(),
  maxEjectionPercent: percentage,
  minHealthPercent: percentage,
  outlierDetectionHttpErrorCodes: list(integer(100, 599)),
}, ({ splitExternalLocalOriginErrors, consecutiveLocalOriginFailures = 0 }, cursor) => {
  if (consecutiveLocalOriginFailures > 0 && splitExternalLocalOriginErrors !== true) {
    cursor.atKey("consecutiveLocalOriginFailures").error("needs splitExternalLocalOriginErrors: true");
  }
});
