import assert from "node:assert/strict";
import { type ApplicationOptions, type Handler, startApplication } from "./application.ts";
import { details } from "./details.ts";
import { productpage } from "./productpage.ts";
import { ratings } from "./ratings.ts";
import { reviews } from "./reviews.ts";

/** Bookinfo without a mesh: a proxy that knows where each service is, and what each request carried. */
function startBookinfo(reviewsVersion: string) {
  const addresses = new Map<string, string>();
  const seen: { host: string; user: string | null; trace: string | null }[] = [];
  const servers: Deno.HttpServer[] = [];
  const proxy = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const url = new URL(request.url);
    const { headers } = request;
    seen.push({ host: url.host, user: headers.get("end-user"), trace: headers.get("x-request-id") });
    return await fetch(`http://${addresses.get(url.hostname)}${url.pathname}`, { headers: request.headers });
  });
  servers.push(proxy);
  const start = (service: ApplicationOptions["service"], version: string, handler: Handler) => {
    const options = { service, version, address: "127.0.0.1", port: 0, proxy: `http://127.0.0.1:${proxy.addr.port}` };
    const server = startApplication(options, handler);
    servers.push(server);
    const address = `127.0.0.1:${(server.addr as Deno.NetAddr).port}`;
    addresses.set(service, address);
    return `http://${address}`;
  };
  start("details", "v1", details);
  const ratingsUrl = start("ratings", "v1", ratings);
  start("reviews", reviewsVersion, reviews(reviewsVersion));
  const page = start("productpage", "v1", productpage);
  return {
    page,
    ratingsUrl,
    seen,
    async [Symbol.asyncDispose]() {
      await Promise.all(servers.map((server) => server.shutdown()));
    },
  };
}

async function text(url: string, headers: Record<string, string> = {}): Promise<string> {
  return await (await fetch(url, { headers })).text();
}

for (
  const [version, shown, stars] of [["v1", "reviews-v1", 0], ["v2", `class="black"`, 2], [
    "v3",
    `class="red"`,
    2,
  ]] as const
) {
  Deno.test(`the product page with reviews ${version}`, async () => {
    await using bookinfo = await startBookinfo(version);
    const page = await text(`${bookinfo.page}/productpage`);
    assert.match(page, /William Shakespeare/);
    assert.ok(page.includes(shown), page);
    assert.equal(page.split("★").length > 1, stars > 0);
  });
}

Deno.test("trace headers and the user go along every hop", async () => {
  await using bookinfo = await startBookinfo("v2");
  await text(`${bookinfo.page}/productpage`, { "x-request-id": "abc", cookie: "a=b; session=jason" });
  assert.deepEqual(bookinfo.seen.map(({ host }) => host).sort(), ["details:9080", "ratings:9080", "reviews:9080"]);
  assert.ok(bookinfo.seen.every(({ user, trace }) => user === "jason" && trace === "abc"));
});

Deno.test("an application told to fail fails until it is told otherwise, and the page says so", async () => {
  await using bookinfo = await startBookinfo("v3");
  await text(`${bookinfo.ratingsUrl}/-/fail?status=503`);
  assert.match(await text(`${bookinfo.page}/productpage`), /Ratings service is currently unavailable/);
  await text(`${bookinfo.ratingsUrl}/-/fail?status=0`);
  assert.match(await text(`${bookinfo.page}/productpage`), /★/);
});
