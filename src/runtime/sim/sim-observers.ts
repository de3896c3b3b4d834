/** Log and metrics of a simulated machine: kept in memory, for tests to look at. */
import type {Log, LogFields} from '#runtime/log.ts';
import type {Metrics, ReadMetric} from '#runtime/metrics.ts';

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: LogFields;
}

/** Old lines go when there are more. */
const logLinesMax = 10_000;

export function simLog(lines: LogLine[], fields: LogFields = {}): Log {
  const at = (level: LogLine['level']) => (message: string, more?: LogFields) => {
    if (lines.length >= logLinesMax) lines.shift();
    lines.push({level, message, fields: {...fields, ...more}});
  };
  return {debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), child: (more) => simLog(lines, {...fields, ...more})};
}

export function simMetrics(): Metrics {
  const counters = new Map<string, {value: number}>();
  const reads = new Map<string, ReadMetric>();
  const series = (name: string, labels: Readonly<Record<string, string>> = {}): string => {
    const inside = Object.entries(labels).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
    return inside.length > 0 ? `${name}{${inside.sort().join(',')}}` : name;
  };
  const cell = (key: string): {value: number} => {
    let found = counters.get(key);
    if (!found) counters.set(key, (found = {value: 0}));
    return found;
  };
  return {
    counter: (name, _help, labels) => {
      const mine = cell(series(name, labels));
      return {add: (amount = 1) => void (mine.value += amount)};
    },
    histogram: (name, _help, _buckets, labels) => {
      const [count, sum] = [cell(series(`${name}_count`, labels)), cell(series(`${name}_sum`, labels))];
      return {
        observe: (value) => {
          count.value++;
          sum.value += value;
        },
      };
    },
    gauge: (name, _help, read) => void reads.set(name, read),
    counterFrom: (name, _help, read) => void reads.set(name, read),
    render: () => {
      const lines = [...counters].map(([key, {value}]) => `${key} ${value}`);
      for (const [name, read] of reads) {
        const values = read();
        if (typeof values === 'number') lines.push(`${name} ${values}`);
        else for (const {labels, value} of values) lines.push(`${series(name, labels)} ${value}`);
      }
      return Promise.resolve(`${lines.sort().join('\n')}\n`);
    },
  };
}
