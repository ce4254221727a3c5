/** The product page as HTML. */

export interface BookDetails {
  [property: string]: string | number;
}

export interface Reviews {
  podname: string;
  reviews: { reviewer: string; text: string; rating?: { stars?: number; color?: string; error?: string } }[];
}

/** What a service answered, or why there is nothing to show. */
export type Part<Value> = { value: Value } | { status: number; text: string };

export function page(content: { user: string; details: Part<BookDetails>; reviews: Part<Reviews> }): string {
  const { user, details, reviews } = content;
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Simple Bookstore App</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
header { display: flex; justify-content: space-between; border-bottom: 1px solid #ccc }
main { display: grid; grid-template-columns: 1fr 2fr; gap: 2rem }
blockquote { border-left: 3px solid #ccc; margin: 0 0 1.5rem; padding-left: 1rem }
.black { color: #222 } .red { color: #c00 } .error { color: #a00; background: #fee; padding: .5rem }
td { padding-right: 1rem }
</style>
</head>
<body>
<header><h1>The Comedy of Errors</h1><p>${signedIn(user)}</p></header>
<main>
<section><h2>Book Details</h2>${
    "value" in details ? detailsTable(details.value) : failure("details", details)
  }</section>
<section><h2>Book Reviews</h2>${"value" in reviews ? reviewList(reviews.value) : failure("reviews", reviews)}</section>
</main>
</body>
</html>
`;
}

function signedIn(user: string): string {
  return user === ""
    ? `<a href="/login?username=jason">Sign in as jason</a>`
    : `${escaped(user)} · <a href="/logout">sign out</a>`;
}

function detailsTable(details: BookDetails): string {
  const rows = Object.entries(details).filter(([name]) => name !== "id");
  return `<table>${
    rows.map(([name, value]) => `<tr><td>${escaped(name)}</td><td>${escaped(String(value))}</td></tr>`).join("")
  }</table>`;
}

function reviewList({ podname, reviews }: Reviews): string {
  const quotes = reviews.map(({ reviewer, text, rating }) =>
    `<blockquote><p>${escaped(text)}</p><small>${escaped(reviewer)}</small>${stars(rating)}</blockquote>`
  );
  return `${quotes.join("")}<p>Reviews served by: <b>${escaped(podname)}</b></p>`;
}

function stars(rating?: { stars?: number; color?: string; error?: string }): string {
  if (rating === undefined) return "";
  if (rating.stars === undefined) return `<p class="error">${escaped(rating.error ?? "no rating")}</p>`;
  return `<p class="${escaped(rating.color ?? "")}">${"★".repeat(rating.stars)}${"☆".repeat(5 - rating.stars)}</p>`;
}

function failure(service: string, part: { status: number; text: string }): string {
  return `<p class="error">Error fetching product ${service}: ${part.status} ${escaped(part.text)}</p>`;
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
