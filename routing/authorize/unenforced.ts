/**
 * How the names of RBAC policies end that deny because what they ask for is not in force; the reason follows in
 * brackets: `ns[default]-policy[audit]-rule[0]-unenforced[AUDIT]`.
 */
export const UNENFORCED = "-unenforced";
