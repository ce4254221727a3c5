import type { Handler } from "./application.ts";

/** `/details/ID`: the book. */
export const details: Handler = (url) => {
  const match = /^\/details\/(\d+)$/.exec(url.pathname);
  if (match === null) return Response.json({ error: "please provide a numeric product ID" }, { status: 404 });
  return Response.json({
    id: Number(match[1]),
    author: "William Shakespeare",
    year: 1595,
    type: "paperback",
    pages: 200,
    publisher: "PublisherA",
    language: "English",
    "ISBN-10": "1234567890",
    "ISBN-13": "123-1234567890",
  });
};
