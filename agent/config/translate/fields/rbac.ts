/** Implemented fields of the RBAC filters, and of what their rules are made of. */
import {
  Permission_SetSchema,
  PermissionSchema,
  PolicySchema,
  Principal_AuthenticatedSchema,
  Principal_SetSchema,
  PrincipalSchema,
  RBACSchema as RulesSchema,
} from "../../../../routing/xds/gen/envoy/config/rbac/v3/rbac_pb.ts";
import { TypedExtensionConfigSchema } from "../../../../routing/xds/gen/envoy/config/core/v3/extension_pb.ts";
import { RBACSchema as HttpRbacSchema } from "../../../../routing/xds/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.ts";
import { RBACSchema as NetworkRbacSchema } from "../../../../routing/xds/gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.ts";
import { UriTemplateMatchConfigSchema } from "../../../../routing/xds/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.ts";
import { PathMatcherSchema } from "../../../../routing/xds/gen/envoy/type/matcher/v3/path_pb.ts";
import { Int32RangeSchema } from "../../../../routing/xds/gen/envoy/type/v3/range_pb.ts";
import { message } from "./message_fields.ts";

const unnamed = "names statistics that skiff does not keep";
const statistics = { rules_stat_prefix: unnamed, shadow_rules_stat_prefix: unnamed };

export const rbacFields = [
  message(HttpRbacSchema, "rules shadow_rules", statistics),
  message(NetworkRbacSchema, "rules shadow_rules", {
    stat_prefix: unnamed,
    shadow_rules_stat_prefix: unnamed,
    enforcement_type: "a connection is judged when it has been accepted, before its first byte",
  }),
  message(RulesSchema, "action policies"),
  message(PolicySchema, "permissions principals"),
  message(
    PermissionSchema,
    `and_rules or_rules any header url_path destination_ip destination_port destination_port_range not_rule
     requested_server_name uri_template`,
  ),
  message(Permission_SetSchema, "rules"),
  message(
    PrincipalSchema,
    "and_ids or_ids any authenticated direct_remote_ip remote_ip header url_path not_id",
  ),
  message(Principal_SetSchema, "ids"),
  message(Principal_AuthenticatedSchema, "principal_name"),
  message(PathMatcherSchema, "path"),
  message(TypedExtensionConfigSchema, "typed_config", { name: "the type of typed_config decides" }),
  message(UriTemplateMatchConfigSchema, "path_template"),
  message(Int32RangeSchema, "start end"),
];
