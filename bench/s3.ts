/**
 * Small S3 requests on folders of this disk, beside MinIO and versitygw, one after the other in the same run: durable PUTs, signed GETs, listings,
 * and 200 clients that do all of it at once. Every server keeps its bytes in a folder below the same temporary directory. Weir and MinIO
 * sync what they acknowledge; versitygw does not.
 */
import {type S3Server, startMinio, startVersitygw} from '../test/servers/s3-servers.ts';
import {S3Client} from '../test/integration/s3-client.ts';
import {type BenchOptions, kib, scattered} from './bench.ts';
import {generateLoad, type Load} from './generate-load.ts';
import type {LoadPlan, LoadRequest} from './load.ts';
import {uploadsInParts} from './parts.ts';
import {atLeast, atMost, type Goal, median, number, type Row, type Section} from './report.ts';
import {startWeir} from './weir.ts';

const bucket = 'small';
const bodyBytes = 4 * kib;
const keysPerPage = 1000;
/** Of the 200 clients' requests: one listing of a short page for so many, and a PUT for so many. */
const listEvery = 10;
const putEvery = 3;

type Plan = Omit<LoadPlan, 'host' | 'port' | 'accessKeyId' | 'secretAccessKey'>;

interface Rival {
  readonly name: string;
  readonly pid: number;
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

interface Work {
  readonly name: string;
  readonly plan: Plan;
  /** Read from what was measured, with its unit; more is better where the goal says so. */
  readonly rate: (load: Load) => number;
  readonly unit: string;
  readonly goal?: Goal;
}

const perSecond = (load: Load): number => load.requests / load.seconds;
const microseconds = (load: Load): number => (1e6 * load.serverCpuSeconds) / load.requests;
const keyOf = (i: number): string => `/${bucket}/d${i % 10}/key-${String(i).padStart(7, '0')}`;

function works(quick: boolean, round: number): Work[] {
  const objects = quick ? 300 : 3000;
  const count = quick ? 300 : 20_000;
  const written = (i: number): string => keyOf(round * objects + i);
  const page = (i: number): LoadRequest => ({path: `/${bucket}`, query: [['list-type', '2'], ['max-keys', String(quick ? 10 : keysPerPage)], ['start-after', `d${i % 6}/key-0`]]});
  const reads = scattered(count, objects, round * count).map((i): LoadRequest => ({path: written(i)}));
  const mixed = reads.map((read, i): LoadRequest => {
    if (i % listEvery === 0) return {...page(i), query: [['list-type', '2'], ['max-keys', '100'], ['start-after', `d${i % 6}/key-0`]]};
    return i % putEvery === 0 ? {method: 'PUT', path: `/${bucket}/mixed/${round}-${i}`} : read;
  });
  const writes = Array.from({length: objects}, (_, i): LoadRequest => ({path: written(i)}));
  return [
    {name: 'PUT 4 KiB, 16 writers', plan: {method: 'PUT', requests: writes, connections: 16, warmUps: 16, bodyBytes}, rate: perSecond, unit: '/s', goal: atLeast(3000)},
    {name: 'GET 4 KiB, 32 readers', plan: {method: 'GET', requests: reads, connections: 32, warmUps: 32}, rate: perSecond, unit: '/s'},
    {
      name: `LIST, pages of ${keysPerPage}: CPU a key`, plan: {method: 'GET', requests: Array.from({length: quick ? 20 : 200}, (_, i) => page(i)), connections: 4, warmUps: 4},
      rate: load => microseconds(load) / (quick ? 10 : keysPerPage), unit: ' µs', goal: atMost(8),
    },
    {
      name: '200 clients, GET 6 : PUT 3 : LIST 1, the slowest 1 % ÷ the median', plan: {method: 'GET', requests: mixed, connections: quick ? 20 : 200, warmUps: quick ? 20 : 200, bodyBytes},
      rate: load => load.wholeMs.p99 / load.wholeMs.p50, unit: ' ×', goal: atMost(10),
    },
  ];
}

function measure(rival: Rival, plan: Plan): Promise<Load> {
  const {hostname, port} = new URL(rival.endpoint);
  const {accessKeyId, secretAccessKey} = rival;
  return generateLoad({...plan, host: hostname, port: Number(port), accessKeyId, secretAccessKey}, rival.pid, {pinned: false});
}

export async function s3({quick, say}: BenchOptions): Promise<Section> {
  await using weir = await startWeir([]);
  await using behind = await startWeir([], {flags: ['--write-type', 'ASYNC_THROUGH']});
  await using minio = stopping(await startMinio('bench s3'));
  await using versitygw = stopping(await startVersitygw('bench s3'));
  const ours: Rival = {name: 'Weir', pid: weir.pid, endpoint: weir.s3.origin, accessKeyId: weir.accessKeyId, secretAccessKey: weir.secretAccessKey};
  const cacheFirst: Rival = {name: 'Weir, ASYNC_THROUGH', pid: behind.pid, endpoint: behind.s3.origin, accessKeyId: behind.accessKeyId, secretAccessKey: behind.secretAccessKey};
  const rivals: Rival[] = [ours];
  if (minio.server) rivals.push({...minio.server, name: 'MinIO'});
  if (versitygw.server) rivals.push({...versitygw.server, name: 'versitygw'});
  for (const {endpoint, accessKeyId, secretAccessKey} of [...rivals, cacheFirst]) {
    const client = new S3Client({endpoint, accessKeyId, secretAccessKey});
    await client.must('PUT', `/${bucket}`);
    client.close();
  }
  const rounds = quick ? 1 : 3;
  const loads = new Map<string, Load[]>();
  for (let round = 0; round < rounds; round++) {
    for (const {name, plan} of works(quick, round)) {
      for (const rival of plan.method === 'PUT' ? [...rivals, cacheFirst] : rivals) {
        say(`round ${round + 1} of ${rounds}: ${name}, ${rival.name}`);
        const at = `${name} ${rival.name}`;
        loads.set(at, [...(loads.get(at) ?? []), await measure(rival, plan)]);
      }
    }
  }
  const rows: Row[] = [];
  for (const {name, rate, unit, goal} of works(quick, 0)) {
    const of = (rival: Rival, figure: (load: Load) => number): number => median(loads.get(`${name} ${rival.name}`)!.map(figure));
    const told = (rival: Rival): string => `${number(of(rival, rate))}${unit} (${number(of(rival, microseconds))} µs CPU a request)`;
    rows.push({what: name, measured: told(ours), beside: rivals.slice(1).map(rival => `${rival.name} ${told(rival)}`).join('; '), figure: of(ours, rate), ...(goal ? {goal} : {})});
  }
  const [puts] = works(quick, 0);
  const told = loads.get(`${puts!.name} ${cacheFirst.name}`)!;
  const rate = median(told.map(puts!.rate));
  rows.push({
    what: `${puts!.name}, ASYNC_THROUGH`, measured: `${number(rate)}${puts!.unit} (${number(median(told.map(microseconds)))} µs CPU a request, what brings them to the store behind among it)`,
    beside: 'durable in the cache and the journal, as the rows above', figure: rate, goal: atLeast(3000),
  });
  rows.push(await uploadsInParts(behind, bucket, {quick, say}));
  const latencies = loads.get(`${works(quick, 0)[3]!.name} ${ours.name}`)!;
  return {
    name: 's3', title: 'Small S3 requests beside MinIO and versitygw', rows,
    notes: [
      `medians of ${rounds} rounds; the load generator shares the ${rivals.length > 1 ? 'cores with each server' : 'cores'}; every request signed anew; Weir and MinIO sync what they acknowledge, versitygw does not`,
      `200 clients: p50 and p99 of an answer ${number(median(latencies.map(load => load.wholeMs.p50)))} and ${number(median(latencies.map(load => load.wholeMs.p99)))} ms`,
    ],
  };
}

function stopping(server: S3Server | undefined): AsyncDisposable & {readonly server: S3Server | undefined} {
  return {server, [Symbol.asyncDispose]: async () => await server?.stop()};
}
