/** From outside the mesh through a gateway. */
import { until } from "../harness/until.ts";
import { gatewayAccount, spiffeId } from "../topology.ts";
import { expect, type Step } from "./step.ts";

const throughTheGateway: Step = {
  name: "bookinfo is reached from outside through Istio's bookinfo-gateway",
  async run(bookinfo) {
    bookinfo.apply("bookinfo-gateway.yaml");
    using browser = bookinfo.outsider();
    const url = bookinfo.gatewayPage;
    const page = await until(`${url} answers 200`, async () => {
      const answer = await browser.get(url).catch(() => null);
      return answer?.status === 200 && answer;
    });
    expect(page.body.includes("William Shakespeare"), `the page shows no details: ${page.body.slice(0, 400)}`);
    const other = await browser.get(new URL("/details/0", url).href);
    expect(other.status === 404, `a path that no rule names answers ${other.status}`);
    const caller = spiffeId(gatewayAccount);
    const line = await until(
      `the product page's agent logs a call by ${caller}`,
      () => bookinfo.accessLog().find((line) => line.caller === caller),
    );
    return `${url} shows the page, other paths answer 404; the product page was called by ${line.caller} with ${line.tls}`;
  },
};

export const gatewaySteps: Step[] = [throughTheGateway];
