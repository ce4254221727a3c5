/** Where requests go: by default, by header, by weight, and after a change on disk. */
import { type Answer, tally } from "../harness/http_client.ts";
import { until } from "../harness/until.ts";
import type { BookinfoMesh } from "../bookinfo_mesh.ts";
import { expect, type Step } from "./step.ts";

const reviewsUrl = "http://reviews:9080/reviews/0";
export const jason = { "end-user": "jason" };

/** `reviews-v2`, of an answer of reviews. */
export function servedBy(answer: Answer): string {
  if (answer.status !== 200) return `${answer.status} ${answer.body.slice(0, 100)}`;
  return String(JSON.parse(answer.body).podname);
}

/** Waits until reviews, asked as productpage, is served by the given version. */
export async function reviewsServedBy(bookinfo: BookinfoMesh, pod: string, headers = {}, timeout = 5_000) {
  let last = "nothing";
  await until(`reviews is served by ${pod}`, async () => {
    last = servedBy(await bookinfo.caller("productpage").get(reviewsUrl, headers));
    return last === pod;
  }, { timeout, interval: 10, explain: () => `last seen: ${last}` });
}

const allToVersion1: Step = {
  name: "everything goes to version 1",
  async run(bookinfo) {
    await reviewsServedBy(bookinfo, "reviews-v1");
    const answers = await bookinfo.caller("productpage").many(60, reviewsUrl);
    expect(answers.every((answer) => servedBy(answer) === "reviews-v1"), tally(answers.map(servedBy)));
    using browser = bookinfo.outsider();
    const page = await browser.get(bookinfo.productPage);
    expect(page.status === 200, `${bookinfo.productPage} answers ${page.status}: ${page.body.slice(0, 200)}`);
    expect(page.body.includes("<b>reviews-v1</b>"), `the page shows no reviews-v1: ${page.body.slice(-400)}`);
    expect(page.body.includes("William Shakespeare"), "the page shows no details");
    return `${answers.length} of ${answers.length} answers by reviews-v1; the product page shows them`;
  },
};

const jasonToVersion2: Step = {
  name: "jason goes to version 2, others stay",
  async run(bookinfo) {
    bookinfo.apply("virtual-service-reviews-test-v2.yaml");
    await reviewsServedBy(bookinfo, "reviews-v2", jason);
    const productpage = bookinfo.caller("productpage");
    const his = await productpage.many(30, reviewsUrl, jason);
    expect(his.every((answer) => servedBy(answer) === "reviews-v2"), `jason: ${tally(his.map(servedBy))}`);
    expect(his.every(({ body }) => body.includes(`"color":"black"`)), `no black stars for jason: ${his[0].body}`);
    const others = await productpage.many(30, reviewsUrl, { "end-user": "mary" });
    expect(others.every((answer) => servedBy(answer) === "reviews-v1"), `mary: ${tally(others.map(servedBy))}`);
    using browser = bookinfo.outsider();
    const page = await browser.get(bookinfo.productPage, { cookie: "session=jason" });
    expect(page.body.includes("<b>reviews-v2</b>"), `jason's page shows no reviews-v2: ${page.body.slice(-400)}`);
    return `jason ${tally(his.map(servedBy))}, mary ${tally(others.map(servedBy))}, and so on the product page`;
  },
};

/** Five standard deviations: a correct split fails this once in almost two million runs. */
const deviations = 5;

function split(rule: string, count: number, share: number, pod: string, name: string): Step {
  return {
    name,
    async run(bookinfo) {
      bookinfo.apply(rule);
      await reviewsServedBy(bookinfo, pod);
      const answers = await bookinfo.caller("productpage").many(count, reviewsUrl);
      const seen = answers.filter((answer) => servedBy(answer) === pod).length;
      const rest = answers.filter((answer) => servedBy(answer) === "reviews-v1").length;
      expect(seen + rest === count, `others than reviews-v1 and ${pod}: ${tally(answers.map(servedBy))}`);
      const bound = deviations * Math.sqrt(count * share * (1 - share));
      const expected = `${count * share} ± ${bound.toFixed(0)} expected`;
      expect(Math.abs(seen - count * share) <= bound, `${seen} of ${count} by ${pod}; ${expected}`);
      return `${seen} of ${count} by ${pod} (${expected}, ${deviations} standard deviations)`;
    },
  };
}

const changeOnDisk: Step = {
  name: "a rule edited on disk is in force in under 1 s",
  async run(bookinfo) {
    const took: number[] = [];
    for (const version of ["v3", "v1", "v3", "v1"]) {
      const start = performance.now();
      bookinfo.apply(version === "v3" ? "virtual-service-reviews-v3.yaml" : "virtual-service-all-v1.yaml");
      await reviewsServedBy(bookinfo, `reviews-${version}`);
      took.push(performance.now() - start);
    }
    const slowest = Math.max(...took);
    expect(slowest < 1_000, `${took.map((ms) => ms.toFixed(0)).join(", ")} ms`);
    return `${took.map((ms) => ms.toFixed(0)).join(", ")} ms from the edit to the first answer by the new rule`;
  },
};

export const routingSteps: Step[] = [
  allToVersion1,
  jasonToVersion2,
  split("virtual-service-reviews-50-v3.yaml", 400, 0.5, "reviews-v3", "half of the requests go to version 3"),
  split("virtual-service-reviews-90-10.yaml", 600, 0.1, "reviews-v2", "a tenth of the requests goes to version 2"),
  changeOnDisk,
];
