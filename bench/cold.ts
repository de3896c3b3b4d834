/**
 * Cold reads through Weir of a store behind a link, beside a kept-alive client of that store on the same link: rate, first byte, and what
 * the link counted. Objects are read once; every round has its own.
 */
import type {Link} from '#runtime/node/link/link.ts';
import {type BenchOptions, kib, mb, mib, scattered} from './bench.ts';
import {FarStore, farLink, throughWeir} from './far-store.ts';
import type {LoadRequest} from './load.ts';
import {anonymousMiB, watchPeak} from './processes.ts';
import {atLeast, atMost, median, number, type Row, type Section} from './report.ts';
import type {Weir} from './weir.ts';

const perConnection = 50e6;
const readBytes = 64 * kib;

interface Scale {
  readonly objectBytes: number;
  readonly rounds: number;
  readonly firstBytes: number;
  readonly randomReads: number;
}

const full: Scale = {objectBytes: 512 * mib, rounds: 3, firstBytes: 15, randomReads: 100};
const small: Scale = {objectBytes: 8 * mib, rounds: 1, firstBytes: 3, randomReads: 10};

export async function cold({quick, say}: BenchOptions): Promise<Section> {
  const scale = quick ? small : full;
  const {objectBytes, rounds} = scale;
  const title = 'Cold GET of a store behind 25 ms and 200 MB/s';
  await using store = await FarStore.start('bench cold', 'cold');
  if (!store) return {name: 'cold', title, rows: [], notes: ['left out: no versitygw']};
  say('writing objects');
  const numbered = (name: string, count: number): string[] => Array.from({length: count}, (_, i) => `${name}-${i}`);
  await store.write(['warm'], 100);
  await store.write([...numbered('whole', rounds), ...numbered('limited', rounds), 'aligned', 'anywhere'], objectBytes);
  await store.write([...numbered('unseen', scale.firstBytes), ...numbered('known', scale.firstBytes)], mib);

  const rows: Row[] = [];
  {
    await using link = await store.link(farLink);
    await using weir = await store.weir(link);
    rows.push(...(await wholeObjects(store, weir, link, scale, say)));
    rows.push(...(await firstBytes(store, weir, link, scale, say)));
    rows.push(...(await randomReads(store, weir, link, scale, say)));
  }
  rows.push(...(await limitedConnections(store, scale, say)));
  return {name: 'cold', title, rows, notes: [`whole objects of ${number(objectBytes / mib)} MiB; medians of ${rounds}; first bytes of ${scale.firstBytes} objects of 1 MiB`]};
}

const pathOf = (store: FarStore, key: string): LoadRequest => ({path: `/${store.bucket}/${key}`});

/** One object after the other on one warm connection. */
const reading = (store: FarStore, keys: readonly string[]) => ({method: 'GET', requests: [pathOf(store, 'warm'), ...keys.map(key => pathOf(store, key))], warmUps: 1, connections: 1}) as const;

async function wholeObjects(store: FarStore, weir: Weir, link: Link, {rounds, objectBytes}: Scale, say: BenchOptions['say']): Promise<Row[]> {
  const direct: number[] = [];
  const ours: number[] = [];
  const fetched: number[] = [];
  for (let i = 0; i < rounds; i++) {
    say(`whole objects, round ${i + 1} of ${rounds}`);
    const plain = await store.direct(reading(store, [`whole-${i}`]), link);
    direct.push(plain.bytes / plain.seconds);
    await throughWeir(weir, reading(store, []));
    const before = link.counters.bytesDown;
    const load = await throughWeir(weir, reading(store, [`whole-${i}`]));
    ours.push(load.bytes / load.seconds);
    fetched.push((link.counters.bytesDown - before) / objectBytes);
  }
  const rate = (values: readonly number[]): string => `${number(median(values) / mb)} MB/s`;
  return [
    {what: 'whole object: share of what the link carries', measured: rate(ours), beside: `${rate(direct)} directly, of ${number(farLink.bytesPerSecond / mb)}`, figure: median(ours) / median(direct), goal: atLeast(0.95)},
    {what: 'whole object: bytes at the link ÷ object', measured: number(median(fetched)), beside: '', figure: median(fetched), goal: atMost(1.05)},
  ];
}

async function firstBytes(store: FarStore, weir: Weir, link: Link, {firstBytes: count}: Scale, say: BenchOptions['say']): Promise<Row[]> {
  say('first bytes');
  const keys = (name: string): string[] => Array.from({length: count}, (_, i) => `${name}-${i}`);
  const direct = (await store.direct(reading(store, keys('unseen')), link)).firstByteMs.p50;
  const unseen = (await throughWeir(weir, reading(store, keys('unseen')))).firstByteMs.p50;
  await throughWeir(weir, {method: 'HEAD', requests: keys('known').map(key => pathOf(store, key)), connections: 1});
  const known = (await throughWeir(weir, reading(store, keys('known')))).firstByteMs.p50;
  return [['a key never seen', unseen] as const, ['a known key', known] as const].map(([what, ms]) => (
    {what: `first byte of ${what}: ms later than a direct, kept-alive client`, measured: `${number(ms)} ms`, beside: `${number(direct)} ms`, figure: ms - direct, goal: atMost(2)}
  ));
}

async function randomReads(store: FarStore, weir: Weir, link: Link, {randomReads: count, objectBytes}: Scale, say: BenchOptions['say']): Promise<Row[]> {
  say('random reads');
  const rows: Row[] = [];
  for (const [key, what, offset] of [['aligned', 'at multiples of 64 KiB', 0], ['anywhere', 'at any offset', 12_345]] as const) {
    const requests = scattered(count, objectBytes / readBytes - 1, 1).map(page => {
      const from = page * readBytes + offset;
      return {...pathOf(store, key), range: [from, from + readBytes - 1] as const};
    });
    const before = link.counters.bytesDown;
    const load = await throughWeir(weir, {method: 'GET', requests, connections: 1});
    // What is read ahead after the last answer counts too.
    await quiet(link);
    const ratio = (link.counters.bytesDown - before) / (count * readBytes);
    const each = `${number(load.wholeMs.p50)} ms each`;
    rows.push({what: `${count} random reads of 64 KiB ${what}: bytes fetched ÷ asked`, measured: `${number(ratio)}, ${each}`, beside: '', figure: ratio, goal: atMost(1.3)});
  }
  return rows;
}

/** Until no byte has come through for a while. */
async function quiet(link: Link): Promise<void> {
  for (let last = -1; last !== link.counters.bytesDown; ) {
    last = link.counters.bytesDown;
    await new Promise(resolve => setTimeout(resolve, 300));
  }
}

async function limitedConnections(store: FarStore, {rounds}: Scale, say: BenchOptions['say']): Promise<Row[]> {
  await using link = await store.link({rttMs: farLink.rttMs, bytesPerSecond: 10e9, perConnectionBytesPerSecond: perConnection});
  await using weir = await store.weir(link);
  const direct: number[] = [];
  const ours: number[] = [];
  using memory = watchPeak(() => anonymousMiB(weir.pid));
  for (let i = 0; i < rounds; i++) {
    say(`limited connections, round ${i + 1} of ${rounds}`);
    const plain = await store.direct(reading(store, [`limited-${i}`]), link);
    direct.push(plain.bytes / plain.seconds);
    const load = await throughWeir(weir, reading(store, [`limited-${i}`]));
    ours.push(load.bytes / load.seconds);
  }
  const what = `each connection limited to ${number(perConnection / mb)} MB/s, the link not: times a plain download`;
  return [{what, measured: `${number(median(ours) / mb)} MB/s, at most ${number(memory.peak)} MiB RssAnon`, beside: `${number(median(direct) / mb)} MB/s`, figure: median(ours) / median(direct), goal: atLeast(5)}];
}
