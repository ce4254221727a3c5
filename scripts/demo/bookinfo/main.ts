/** Runs the bookinfo applications of one machine in one process: `deno run -A main.ts '[{"service": "reviews", …}]'`. */
import { type ApplicationOptions, type Handler, startApplication } from "./application.ts";
import { details } from "./details.ts";
import { productpage } from "./productpage.ts";
import { ratings } from "./ratings.ts";
import { reviews } from "./reviews.ts";

function handlerOf({ service, version }: ApplicationOptions): Handler {
  switch (service) {
    case "productpage":
      return productpage;
    case "details":
      return details;
    case "ratings":
      return ratings;
    case "reviews":
      return reviews(version);
  }
}

const applications = JSON.parse(Deno.args[0]) as ApplicationOptions[];
for (const options of applications) startApplication(options, handlerOf(options));
console.log(`bookinfo ready: ${applications.map(({ service, version }) => `${service}-${version}`).join(", ")}`);
