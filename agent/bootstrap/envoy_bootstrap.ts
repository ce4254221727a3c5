/**
 * The bootstrap configuration of a stock Envoy that takes a workload's place in the mesh: everything comes over ADS,
 * by mutual TLS with the workload's certificate, which Envoy reads from files and reads anew when they are replaced.
 */
import { isIP } from "node:net";
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { nodeId, nodeToMetadata, type WorkloadNode } from "../../routing/xds/node.ts";
import { locality } from "./locality.ts";
import type { SecretPaths } from "./secret_files.ts";

export type EnvoyProtocol = "delta" | "state-of-the-world";

export interface EnvoyBootstrapOptions {
  /** With `software` of kind `envoy`. */
  node: WorkloadNode;
  secrets: SecretPaths;
  /** `host:port` each: where ADS is served. */
  controlPlanes: string[];
  admin: { address: string; port: number };
  /** Which variant of ADS it speaks. */
  protocol: EnvoyProtocol;
}

const CONTROL_PLANE = "skiff-control-plane";

export function envoyBootstrap({ node, secrets, controlPlanes, admin, protocol }: EnvoyBootstrapOptions): JsonObject {
  const ads = { ads: {}, resource_api_version: "V3", initial_fetch_timeout: "0s" };
  const addresses = controlPlanes.map(parseHostAndPort);
  return {
    node: {
      id: nodeId(node),
      cluster: node.service === "" ? node.namespace : `${node.service}.${node.namespace}`,
      locality: locality(node.locality),
      metadata: nodeToMetadata(node),
    },
    dynamic_resources: {
      ads_config: {
        api_type: protocol === "delta" ? "DELTA_GRPC" : "GRPC",
        transport_api_version: "V3",
        set_node_on_first_message_only: true,
        grpc_services: [{ envoy_grpc: { cluster_name: CONTROL_PLANE } }],
      },
      cds_config: ads,
      lds_config: ads,
    },
    static_resources: {
      clusters: [{
        name: CONTROL_PLANE,
        type: addresses.every(({ host }) => isIP(host) !== 0) ? "STATIC" : "STRICT_DNS",
        connect_timeout: "5s",
        load_assignment: {
          cluster_name: CONTROL_PLANE,
          endpoints: [{ lb_endpoints: addresses.map(endpoint) }],
        },
        typed_extension_protocol_options: {
          "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            explicit_http_config: {
              http2_protocol_options: { connection_keepalive: { interval: "30s", timeout: "5s" } },
            },
          },
        },
        transport_socket: {
          name: "envoy.transport_sockets.tls",
          typed_config: {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            common_tls_context: {
              tls_params: { tls_minimum_protocol_version: "TLSv1_2", tls_maximum_protocol_version: "TLSv1_3" },
              alpn_protocols: ["h2"],
              tls_certificate_sds_secret_configs: [{ name: "default", sds_config: inFile(secrets.certificateSecret) }],
              combined_validation_context: {
                default_validation_context: { match_typed_subject_alt_names: addresses.map(subjectAltName) },
                validation_context_sds_secret_config: { name: "ROOTCA", sds_config: inFile(secrets.trustSecret) },
              },
            },
          },
        },
      }],
    },
    admin: { address: socketAddress(admin.address, admin.port) },
  };
}

interface HostAndPort {
  host: string;
  port: number;
}

/** Every workload has a certificate of the mesh; the control plane's is the one with its names. */
function subjectAltName({ host }: HostAndPort): JsonObject {
  return { san_type: isIP(host) === 0 ? "DNS" : "IP_ADDRESS", matcher: { exact: host } };
}

function endpoint({ host, port }: HostAndPort): JsonValue {
  return { endpoint: { address: socketAddress(host, port) } };
}

function socketAddress(address: string, port: number): JsonObject {
  return { socket_address: { address, port_value: port } };
}

function inFile(path: string): JsonObject {
  return { path_config_source: { path }, resource_api_version: "V3", initial_fetch_timeout: "0s" };
}

function parseHostAndPort(text: string): HostAndPort {
  const colon = text.lastIndexOf(":");
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(text.slice(colon + 1)) };
}
