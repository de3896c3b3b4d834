/** Starting an instance and what memory it takes: idle, and while many download and upload at once. */
import {type BenchOptions, mib} from './bench.ts';
import {FarStore, throughWeir} from './far-store.ts';
import type {Load} from './generate-load.ts';
import type {LoadPlan, LoadRequest} from './load.ts';
import {anonymousMiB, watchPeak} from './processes.ts';
import {atMost, median, number, type Row, type Section} from './report.ts';
import {startWeir, type Weir} from './weir.ts';

const settleMs = 3000;
/** What "bounded" means here: the buffers' named bounds together with the idle process. */
const busyMiBMax = 512;

export async function start({quick, say}: BenchOptions): Promise<Section> {
  const starts = quick ? 1 : 5;
  const concurrent = quick ? 8 : 200;
  const bytes = (quick ? 4 : 64) * mib;
  const title = 'Start and memory';
  const rows: Row[] = [];
  const firstAnswers: number[] = [];
  const idle: number[] = [];
  for (let i = 0; i < starts; i++) {
    say(`start ${i + 1} of ${starts}`);
    await using weir = await startWeir([]);
    firstAnswers.push(weir.firstAnswerMs);
    await new Promise(resolve => setTimeout(resolve, quick ? 0 : settleMs));
    idle.push(anonymousMiB(weir.pid));
  }
  rows.push(
    {what: 'weir up, from the command to the first answer by S3', measured: `${number(median(firstAnswers))} ms`, beside: '', figure: median(firstAnswers) / 1000, goal: atMost(1)},
    {what: 'RssAnon of an idle instance', measured: `${number(median(idle))} MiB`, beside: '', figure: median(idle), goal: atMost(150)},
  );
  await using store = await FarStore.start('bench start', 'busy');
  if (!store) return {name: 'start', title, rows, notes: ['memory under load left out: no versitygw']};
  say('writing objects');
  const different = quick ? 2 : 20;
  await store.write(Array.from({length: different}, (_, i) => `cold-${i}`), bytes);
  await using weir = await store.weir();
  const size = `${concurrent} at once of ${number(bytes / mib)} MiB`;
  const all = (pathOf: (i: number) => string): LoadRequest[] => Array.from({length: concurrent}, (_, i) => ({path: pathOf(i)}));
  const downloads = {method: 'GET', requests: all(i => `/busy/cold-${i % different}`), connections: concurrent} as const;
  for (const [what, plan] of [
    [`${size}: downloads of ${different} objects, cold`, downloads],
    [`${size}: downloads, warm`, downloads],
    [`${size}: uploads`, {method: 'PUT', requests: all(i => `/busy/written-${i}`), connections: concurrent, bodyBytes: bytes}],
  ] as const) {
    say(what);
    const {load, peak} = await busy(weir, plan);
    rows.push({what: `${what}: RssAnon at most, MiB`, measured: `${number(peak)} MiB`, beside: `${number(load.bytes / 1e6 / load.seconds)} MB/s`, figure: peak, goal: atMost(busyMiBMax)});
    const {p50, p99} = load.wholeMs;
    rows.push({what: `${what}: the slowest ÷ the median, so that nobody starves`, measured: `${number(p99 / 1000)} s`, beside: `${number(p50 / 1000)} s`, figure: p99 / p50, goal: atMost(10)});
  }
  return {name: 'start', title, rows, notes: [`medians of ${starts} starts; memory sampled every 50 ms`]};
}

async function busy(weir: Weir, plan: Omit<LoadPlan, 'host' | 'port' | 'accessKeyId' | 'secretAccessKey'>): Promise<{load: Load; peak: number}> {
  using memory = watchPeak(() => anonymousMiB(weir.pid));
  const load = await throughWeir(weir, plan);
  return {load, peak: memory.peak};
}
