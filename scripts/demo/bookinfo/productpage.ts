import type { Handler } from "./application.ts";
import { type BookDetails, page, type Part, type Reviews } from "./page.ts";

/**
 * `/productpage`: the page as HTML; `/api/v1/products/0`, `…/reviews`, `…/ratings`: the parts as JSON, with the status
 * that the service behind gave.
 */
export const productpage: Handler = async (url, caller) => {
  switch (url.pathname) {
    case "/":
      return redirect("/productpage");
    case "/login":
      return redirect("/productpage", `session=${encodeURIComponent(url.searchParams.get("username") ?? "")}; Path=/`);
    case "/logout":
      return redirect("/productpage", "session=; Path=/; Max-Age=0");
    case "/productpage": {
      const [details, reviews] = await Promise.all([
        part<BookDetails>(caller.call("http://details:9080/details/0")),
        part<Reviews>(caller.call("http://reviews:9080/reviews/0")),
      ]);
      const html = page({ user: caller.user, details, reviews });
      return new Response(html, { headers: { "content-type": "text/html; charset=utf-8" } });
    }
    case "/api/v1/products/0":
      return relayed(await caller.call("http://details:9080/details/0"));
    case "/api/v1/products/0/reviews":
      return relayed(await caller.call("http://reviews:9080/reviews/0"));
    case "/api/v1/products/0/ratings":
      return relayed(await caller.call("http://ratings:9080/ratings/0"));
    default:
      return Response.json({ error: "not found" }, { status: 404 });
  }
};

function redirect(location: string, cookie?: string): Response {
  return new Response(null, { status: 302, headers: { location, ...(cookie ? { "set-cookie": cookie } : {}) } });
}

function relayed(response: Response): Response {
  return new Response(response.body, {
    status: response.status,
    headers: { "content-type": response.headers.get("content-type") ?? "text/plain" },
  });
}

async function part<Value>(call: Promise<Response>): Promise<Part<Value>> {
  const response = await call;
  if (!response.ok) return { status: response.status, text: (await response.text()).slice(0, 200) };
  return { value: await response.json() as Value };
}
