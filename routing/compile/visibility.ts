/** Who sees what: `exportTo` of services, VirtualServices and DestinationRules. */

/**
 * Whether something of namespace `owner` is visible in namespace `viewer`.
 *
 * No list, or an empty one, means every namespace; `.` the owner's own, `*` every one, `~` none.
 */
export function exportedTo(exportTo: readonly string[] | undefined, owner: string, viewer: string): boolean {
  if (exportTo === undefined || exportTo.length === 0) return true;
  return exportTo.some((to) => to === "*" || to === viewer || (to === "." && owner === viewer));
}

/** How closely a resource is meant for a namespace: 0 for its own alone, 1 for named ones, 2 for all. */
export function exportBreadth(exportTo: readonly string[] | undefined, owner: string): 0 | 1 | 2 {
  if (exportTo === undefined || exportTo.length === 0 || exportTo.includes("*")) return 2;
  return exportTo.every((to) => to === "." || to === owner) ? 0 : 1;
}
