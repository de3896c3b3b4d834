/** Metrics in Prometheus's terms. Names start with `weir_`, units are base units (seconds, bytes), counters end in `_total`. */
export interface Counter {
  add(amount?: number): void;
}

export interface Histogram {
  observe(value: number): void;
}

export interface Metrics {
  /** The same name and labels give the same counter. Label values come from small fixed sets, never from paths or users. */
  counter(name: string, help: string, labels?: Readonly<Record<string, string>>): Counter;
  histogram(name: string, help: string, buckets: readonly number[], labels?: Readonly<Record<string, string>>): Histogram;
  /** A value read when somebody looks. `read` may return one number or one a label set. */
  gauge(name: string, help: string, read: () => number | readonly {labels: Readonly<Record<string, string>>; value: number}[]): void;
  /** A counter whose value is kept elsewhere (hot paths count in plain variables). */
  counterFrom(name: string, help: string, read: () => number | readonly {labels: Readonly<Record<string, string>>; value: number}[]): void;
  /** The text exposition format. */
  render(): Promise<string>;
}
