import type { Caller, Handler } from "./application.ts";

interface Rating {
  stars?: number;
  color?: string;
  error?: string;
}

const colors: Record<string, string | undefined> = { v2: "black", v3: "red" };

/** `/reviews/ID`: v1 shows no stars, v2 black ones, v3 red ones. */
export function reviews(version: string): Handler {
  return async (url, caller) => {
    const match = /^\/reviews\/(\d+)$/.exec(url.pathname);
    if (match === null) return Response.json({ error: "please provide a numeric product ID" }, { status: 404 });
    const color = colors[version];
    const stars = color === undefined ? null : await starsOf(match[1], caller);
    const rating = (reviewer: string): { rating?: Rating } => {
      if (stars === null) return {};
      const given = stars.get(reviewer);
      return {
        rating: given === undefined ? { error: "Ratings service is currently unavailable" } : { stars: given, color },
      };
    };
    return Response.json({
      id: match[1],
      podname: `reviews-${version}`,
      reviews: [
        {
          reviewer: "Reviewer1",
          text: "An extremely entertaining play by Shakespeare. The slapstick humour is refreshing!",
          ...rating("Reviewer1"),
        },
        {
          reviewer: "Reviewer2",
          text:
            "Absolutely fun and entertaining. The play lacks thematic depth when compared to other plays by Shakespeare.",
          ...rating("Reviewer2"),
        },
      ],
    });
  };
}

/** Empty where ratings does not answer: reviews are shown without it. */
async function starsOf(id: string, caller: Caller): Promise<Map<string, number>> {
  const response = await caller.call(`http://ratings:9080/ratings/${id}`);
  if (!response.ok) {
    await response.body?.cancel();
    return new Map();
  }
  const { ratings } = await response.json() as { ratings: Record<string, number> };
  return new Map(Object.entries(ratings));
}
