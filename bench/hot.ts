/**
 * Hot GETs through Weir's S3 beside nginx with sendfile over the same bytes: one worker each on one core (no further threads serve), the load generator on another,
 * rounds in turn. Requests carry a new signature each, for nginx too, which does not look at it.
 *
 * nginx is the store behind the mount as well: each object is fetched through it once, before the rounds, and is in Weir's cache from then on.
 */
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {startNginx} from '../test/servers/nginx.ts';
import {type BenchOptions, gb, kib, mb, mib, scattered} from './bench.ts';
import {generateLoad, type Load} from './generate-load.ts';
import type {LoadPlan, LoadRequest} from './load.ts';
import {pin, serverCore} from './processes.ts';
import {atLeast, atMost, median, number, type Row, type Section} from './report.ts';
import {startWeir} from './weir.ts';

interface Size {
  readonly name: string;
  readonly bytes: number;
  readonly objects: number;
  readonly requests: number;
  readonly connections: number;
}

const full: readonly Size[] = [
  {name: '4 KiB', bytes: 4 * kib, objects: 100_000, requests: 40_000, connections: 32},
  {name: '1 MiB', bytes: mib, objects: 64, requests: 3000, connections: 8},
  {name: '64 MiB', bytes: 64 * mib, objects: 4, requests: 64, connections: 4},
];
const small: readonly Size[] = [
  {name: '4 KiB', bytes: 4 * kib, objects: 200, requests: 500, connections: 8},
  {name: '1 MiB', bytes: mib, objects: 4, requests: 40, connections: 4},
  {name: '64 MiB', bytes: 64 * mib, objects: 1, requests: 2, connections: 1},
];

const bucket = 'hot';
const writersMax = 8;
const keyOf = (size: Size, i: number): string => `/${bucket}/${size.bytes}/${String(i).padStart(6, '0')}`;

export async function hot({quick, say}: BenchOptions): Promise<Section> {
  const title = 'Hot GET beside nginx with sendfile';
  const root = await mkdtemp(path.join(tmpdir(), 'weir-bench-hot-'));
  await using _folder = {[Symbol.asyncDispose]: () => rm(root, {recursive: true, force: true})};
  const sizes = quick ? small : full;
  const rounds = quick ? 1 : 5;
  for (const size of sizes) {
    say(`writing ${size.objects} objects of ${size.name}`);
    await mkdir(path.dirname(path.join(root, keyOf(size, 0))), {recursive: true});
    await writeObjects(root, size);
  }
  await using nginx = await startNginx('bench hot', {root});
  if (!nginx) return {name: 'hot', title, rows: [], notes: ['left out: no nginx']};
  await using weir = await startWeir([{uri: `${nginx.url}/${bucket}`, options: {maxAge: '1d'}}], {flags: ['--threads', '0']});
  const credentials = {accessKeyId: weir.accessKeyId, secretAccessKey: weir.secretAccessKey};
  const ours = {...credentials, host: weir.s3.hostname, port: Number(weir.s3.port)};
  const theirs = {...credentials, host: '127.0.0.1', port: nginx.port};
  for (const size of sizes) {
    say(`first reads of ${size.objects} objects of ${size.name}`);
    const requests = Array.from({length: size.objects}, (_, i): LoadRequest => ({path: keyOf(size, i)}));
    await generateLoad({...ours, method: 'GET', requests, connections: Math.min(size.bytes < mib ? 64 : 8, size.objects)}, weir.pid, {pinned: false});
  }
  pin(weir.pid, serverCore);
  pin(nginx.pid, serverCore);
  const rows: Row[] = [];
  const notes: string[] = [];
  for (const size of sizes) {
    const results = {weir: [] as Load[], nginx: [] as Load[]};
    for (let round = 0; round < rounds; round++) {
      say(`${size.name}, round ${round + 1} of ${rounds}`);
      const requests = scattered(size.requests, size.objects, round * size.requests).map((i): LoadRequest => ({path: keyOf(size, i)}));
      const plan: Omit<LoadPlan, keyof typeof ours> = {method: 'GET', requests, warmUps: size.connections, connections: size.connections};
      results.nginx.push(await generateLoad({...theirs, ...plan}, nginx.pid));
      results.weir.push(await generateLoad({...ours, ...plan}, weir.pid));
    }
    rows.push(...(size.bytes < mib ? requestRows(size, results) : byteRows(size, results)));
    notes.push(`${size.name}: p50 and p99 of an answer ${latency(results.weir)} ms, nginx ${latency(results.nginx)} ms, ${size.connections} connections`);
  }
  return {name: 'hot', title, rows, notes};
}

async function writeObjects(root: string, size: Size): Promise<void> {
  const bytes = Buffer.alloc(size.bytes, 'weir ');
  let next = 0;
  const writer = async (): Promise<void> => {
    while (next < size.objects) await writeFile(path.join(root, keyOf(size, next++)), bytes);
  };
  await Promise.all(Array.from({length: writersMax}, writer));
}

interface Results {
  readonly weir: readonly Load[];
  readonly nginx: readonly Load[];
}

const of = (loads: readonly Load[], figure: (load: Load) => number): number => median(loads.map(figure));
const latency = (loads: readonly Load[]): string => `${number(of(loads, load => load.wholeMs.p50))} and ${number(of(loads, load => load.wholeMs.p99))}`;

function requestRows(size: Size, {weir, nginx}: Results): Row[] {
  const perSecond = (load: Load): number => load.requests / load.seconds;
  const perCpuSecond = (load: Load): number => load.requests / load.serverCpuSeconds;
  const cost = (loads: readonly Load[]): string => `${number(of(loads, perCpuSecond))} /CPU-s (${number(1e6 / of(loads, perCpuSecond))} µs each)`;
  return [
    {what: `${size.name}, ${number(size.objects)} objects: requests/s`, measured: number(of(weir, perSecond)), beside: number(of(nginx, perSecond)), figure: of(weir, perSecond) / of(nginx, perSecond)},
    {what: `${size.name}: requests per CPU-second`, measured: cost(weir), beside: cost(nginx), figure: of(weir, perCpuSecond) / of(nginx, perCpuSecond), goal: atLeast(0.4)},
  ];
}

function byteRows(size: Size, {weir, nginx}: Results): Row[] {
  const rate = (load: Load): number => load.bytes / mb / load.seconds;
  const cpu = (load: Load): number => load.serverCpuSeconds / (load.bytes / gb);
  return [
    {what: `${size.name}: throughput`, measured: `${number(of(weir, rate))} MB/s`, beside: `${number(of(nginx, rate))} MB/s`, figure: of(weir, rate) / of(nginx, rate), goal: atLeast(0.95)},
    {what: `${size.name}: CPU per GB`, measured: `${number(of(weir, cpu))} s`, beside: `${number(of(nginx, cpu))} s`, figure: of(weir, cpu) / of(nginx, cpu), goal: atMost(size.bytes > mib ? 1.5 : 0.8)},
  ];
}
