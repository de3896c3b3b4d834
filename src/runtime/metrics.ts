/** Metrics in Prometheus's terms. Names start with `weir_`, units are base units (seconds, bytes), counters end in `_total`. */
export interface Counter {
  add(amount?: number): void;
}

export interface Histogram {
  observe(value: number): void;
}

export type ReadMetric = () => number | readonly {readonly labels: Readonly<Record<string, string>>; readonly value: number}[];

export interface Metrics {
  /** The same name and labels give the same counter. Label values come from small sets that an administrator fixes, never from paths of files or users. */
  counter(name: string, help: string, labels?: Readonly<Record<string, string>>): Counter;
  histogram(name: string, help: string, buckets: readonly number[], labels?: Readonly<Record<string, string>>): Histogram;
  /** A value read when somebody looks: one number, or with `labels` (their names) one for each label set. */
  gauge(name: string, help: string, read: ReadMetric, labels?: readonly string[]): void;
  /** A counter whose value is kept elsewhere (hot paths count in plain variables). */
  counterFrom(name: string, help: string, read: ReadMetric, labels?: readonly string[]): void;
  /** The text exposition format. */
  render(): Promise<string>;
}
