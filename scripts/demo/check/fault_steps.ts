/** Injected faults, timeouts, and an endpoint that fails. */
import type { BookinfoMesh } from "../bookinfo_mesh.ts";
import { clusterLines } from "./observe.ts";
import { tally } from "../harness/http_client.ts";
import { until } from "../harness/until.ts";
import { jason, reviewsServedBy, servedBy } from "./routing_steps.ts";
import { expect, type Step } from "./step.ts";

const ratingsUrl = "http://ratings:9080/ratings/0";
const reviewsUrl = "http://reviews:9080/reviews/0";

const delayForJason: Step = {
  name: "jason's ratings take 2 s longer, others' do not",
  async run(bookinfo) {
    bookinfo.apply("virtual-service-ratings-test-delay.yaml");
    const reviews = bookinfo.caller("reviews", "v2");
    await until("the delay is in force", async () => (await reviews.get(ratingsUrl, jason)).milliseconds >= 2_000, {
      timeout: 5_000,
    });
    const productpage = bookinfo.caller("productpage");
    const his = await productpage.many(4, reviewsUrl, jason, 4);
    expect(his.every(({ status }) => status === 200), tally(his.map(servedBy)));
    const fastest = Math.min(...his.map(({ milliseconds }) => milliseconds));
    expect(fastest >= 2_000, `jason waited ${fastest.toFixed(0)} ms only`);
    const others = await reviews.many(20, ratingsUrl, { "end-user": "mary" });
    others.push(...await productpage.many(20, reviewsUrl));
    const slowest = Math.max(...others.map(({ milliseconds }) => milliseconds));
    expect(slowest < 2_000, `others waited up to ${slowest.toFixed(0)} ms`);
    return `jason waited at least ${fastest.toFixed(0)} ms, others at most ${slowest.toFixed(0)} ms`;
  },
};

const abortForJason: Step = {
  name: "jason's ratings are aborted with 500, others' are not",
  async run(bookinfo) {
    bookinfo.apply("virtual-service-reviews-test-v2.yaml");
    await reviewsServedBy(bookinfo, "reviews-v2", jason);
    bookinfo.apply("virtual-service-ratings-test-abort.yaml");
    const reviews = bookinfo.caller("reviews", "v2");
    await until("the abort is in force", async () => (await reviews.get(ratingsUrl, jason)).status === 500, {
      timeout: 5_000,
    });
    const his = await reviews.many(20, ratingsUrl, jason);
    expect(his.every(({ status }) => status === 500), `jason: ${tally(his.map(({ status }) => status))}`);
    expect(his.every(({ body }) => body === "fault filter abort"), `jason: ${tally(his.map(({ body }) => body))}`);
    const others = await reviews.many(20, ratingsUrl, { "end-user": "mary" });
    expect(others.every(({ status }) => status === 200), `mary: ${tally(others.map(({ status }) => status))}`);
    const page = await bookinfo.caller("productpage").get(reviewsUrl, jason);
    expect(page.body.includes("currently unavailable"), `reviews-v2 shows jason ratings: ${page.body}`);
    return `jason ${tally(his.map(({ status }) => status))}, mary ${tally(others.map(({ status }) => status))}`;
  },
};

const timeout: Step = {
  name: "a route's timeout answers 504",
  async run(bookinfo) {
    bookinfo.apply("virtual-service-reviews-timeout.yaml");
    const productpage = bookinfo.caller("productpage");
    const answer = await until("the timeout is in force", async () => {
      const answer = await productpage.get(reviewsUrl, jason);
      return answer.status === 504 && answer;
    }, { timeout: 8_000 });
    expect(answer.milliseconds >= 500 && answer.milliseconds < 2_000, `after ${answer.milliseconds.toFixed(0)} ms`);
    expect(answer.body === "upstream request timeout", `the body is ${JSON.stringify(answer.body)}`);
    const others = await productpage.many(10, reviewsUrl);
    expect(others.every((other) => servedBy(other) === "reviews-v2"), `others: ${tally(others.map(servedBy))}`);
    return `jason got 504 after ${answer.milliseconds.toFixed(0)} ms (timeout 500 ms), others ${
      tally(others.map(servedBy))
    }`;
  },
};

async function tellRatings(bookinfo: BookinfoMesh, machine: string, status: number): Promise<void> {
  using direct = bookinfo.outsider();
  await direct.get(`http://${bookinfo.localAddress("ratings", "v1", machine)}:9080/-/fail?status=${status}`);
}

const outlierEjection: Step = {
  name: "an endpoint that fails is ejected, the other serves on",
  async run(bookinfo) {
    bookinfo.apply("virtual-service-all-v1.yaml");
    const reviews = bookinfo.caller("reviews", "v1");
    await until("ratings answers without a fault", async () => (await reviews.get(ratingsUrl, jason)).status === 200);
    await tellRatings(bookinfo, "vm-3", 500);
    try {
      const before = await reviews.many(40, ratingsUrl, {}, 4);
      const bad = before.filter(({ status }) => status === 500).length;
      expect(bad > 0, "no request met the failing endpoint without outlier detection");
      bookinfo.apply("destination-rule-ratings-outlier.yaml");
      await until("50 answers in a row are good", async () => {
        const answers = await reviews.many(50, ratingsUrl, {}, 4);
        return answers.every(({ status }) => status === 200);
      }, { timeout: 10_000 });
      const after = await reviews.many(100, ratingsUrl, {}, 4);
      expect(after.every(({ status }) => status === 200), tally(after.map(({ status }) => status)));
      const ejected = await clusterLines(bookinfo, "vm-2", /ratings.*failed_outlier_check/);
      expect(ejected.length > 0, "no endpoint of ratings is marked failed_outlier_check in /clusters");
      return `before: ${bad} of ${before.length} failed; then ${after.length} of ${after.length} good; ${ejected[0]}`;
    } finally {
      await tellRatings(bookinfo, "vm-3", 0);
      bookinfo.apply("destination-rule-all.yaml");
    }
  },
};

export const faultSteps: Step[] = [abortForJason, delayForJason, timeout, outlierEjection];
