/** Metrics of the control plane, in Prometheus' text format (version 0.0.4). */

type Labels = Record<string, string>;

interface Metric {
  name: string;
  help: string;
  type: "counter" | "gauge" | "histogram";
  lines(): string[];
}

export class MetricSet {
  readonly #metrics: Metric[] = [];

  counter(name: string, help: string): Counter {
    return this.#add(new Counter(name, help));
  }

  /** A value that is read when metrics are. */
  gauge(name: string, help: string, read: () => number): void {
    this.#add({ name, help, type: "gauge", lines: () => [`${name} ${read()}`] });
  }

  /** @param bounds upper bounds of the buckets, ascending */
  histogram(name: string, help: string, bounds: number[]): Histogram {
    return this.#add(new Histogram(name, help, bounds));
  }

  text(): string {
    return this.#metrics.map(({ name, help, type, lines }) =>
      [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines(), ""].join("\n")
    ).join("");
  }

  #add<Added extends Metric>(metric: Added): Added {
    this.#metrics.push(metric);
    return metric;
  }
}

export class Counter implements Metric {
  readonly type = "counter";
  readonly #values = new Map<string, number>();
  constructor(readonly name: string, readonly help: string) {}

  add(labels: Labels = {}, amount = 1): void {
    const key = labelText(labels);
    this.#values.set(key, (this.#values.get(key) ?? 0) + amount);
  }

  readonly lines = () => [...this.#values].map(([labels, value]) => `${this.name}${labels} ${value}`);
}

export class Histogram implements Metric {
  readonly type = "histogram";
  readonly #bounds: number[];
  /** One more than bounds: the last counts what is above all. */
  readonly #counts: number[];
  #sum = 0;
  constructor(readonly name: string, readonly help: string, bounds: number[]) {
    this.#bounds = bounds;
    this.#counts = new Array(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    const index = this.#bounds.findIndex((bound) => value <= bound);
    this.#counts[index === -1 ? this.#bounds.length : index]++;
    this.#sum += value;
  }

  readonly lines = () => {
    let total = 0;
    const buckets = [...this.#bounds.map(String), "+Inf"].map((bound, index) => {
      total += this.#counts[index];
      return `${this.name}_bucket{le="${bound}"} ${total}`;
    });
    return [...buckets, `${this.name}_sum ${this.#sum}`, `${this.name}_count ${total}`];
  };
}

function labelText(labels: Labels): string {
  const escaped = (value: string) => value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}
