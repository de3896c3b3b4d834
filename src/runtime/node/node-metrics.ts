/**
 * Metrics with Prometheus's own client. Counters are plain numbers that the registry reads when it is asked: an `add` on a hot path
 * costs an addition.
 */
import {Counter as PrometheusCounter, Gauge, Histogram as PrometheusHistogram, Registry} from '@prometheus-io/client';
import type {Counter, Histogram, Metrics, ReadMetric} from '#runtime/metrics.ts';

type Labels = Readonly<Record<string, string>>;

const noLabels: Labels = {};

export function nodeMetrics(): Metrics {
  const registry = new Registry();
  const families = new Map<string, {readonly read: Map<string, {labels: Labels; value: number}>}>();
  const readers = new Map<string, ReadMetric[]>();
  const histograms = new Map<string, PrometheusHistogram<string>>();

  /** All readers of one name together are one family: several stores may have the same counter with other labels. */
  const addReader = (kind: typeof PrometheusCounter | typeof Gauge, name: string, help: string, labelNames: readonly string[], read: ReadMetric): void => {
    const known = readers.get(name);
    if (known) {
      known.push(read);
      return;
    }
    const all = [read];
    readers.set(name, all);
    const metric: PrometheusCounter<string> | Gauge<string> = new kind<string>({
      name,
      help,
      labelNames: [...labelNames],
      registers: [registry],
      collect: () => {
        metric.reset();
        for (const one of all) {
          const value = one();
          if (typeof value === 'number') add(metric, noLabels, value);
          else for (const row of value) add(metric, row.labels, row.value);
        }
      },
    });
  };
  const add = (metric: PrometheusCounter<string> | Gauge<string>, labels: Labels, value: number) => metric.inc({...labels}, value);

  return {
    counter: (name, help, labels = noLabels): Counter => {
      let family = families.get(name);
      if (!family) {
        const read = new Map<string, {labels: Labels; value: number}>();
        family = {read};
        families.set(name, family);
        addReader(PrometheusCounter, name, help, Object.keys(labels), () => [...read.values()]);
      }
      const key = JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
      let cell = family.read.get(key);
      if (!cell) family.read.set(key, (cell = {labels, value: 0}));
      const found = cell;
      return {add: (amount = 1) => void (found.value += amount)};
    },
    histogram: (name, help, buckets, labels = noLabels): Histogram => {
      let metric = histograms.get(name);
      if (!metric) {
        metric = new PrometheusHistogram<string>({name, help, buckets: [...buckets], labelNames: Object.keys(labels), registers: [registry]});
        histograms.set(name, metric);
      }
      const child = metric.labels({...labels});
      return {observe: (value) => child.observe(value)};
    },
    gauge: (name, help, read, labels = []) => addReader(Gauge, name, help, labels, read),
    counterFrom: (name, help, read, labels = []) => addReader(PrometheusCounter, name, help, labels, read),
    render: () => registry.metrics(),
  };
}
