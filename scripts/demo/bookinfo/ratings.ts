import type { Handler } from "./application.ts";

/** `/ratings/ID`: stars by reviewer. */
export const ratings: Handler = (url) => {
  const match = /^\/ratings\/(\d+)$/.exec(url.pathname);
  if (match === null) return Response.json({ error: "please provide a numeric product ID" }, { status: 404 });
  return Response.json({ id: Number(match[1]), ratings: { Reviewer1: 5, Reviewer2: 4 } });
};
