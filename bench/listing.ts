/** A directory of a million names: the first page of its listing, all of them, and the memory that it takes, from a folder and through a second instance from S3. */
import {closeSync, mkdirSync, openSync} from 'node:fs';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {S3Client} from '../test/integration/s3-client.ts';
import type {BenchOptions} from './bench.ts';
import {generateLoad} from './generate-load.ts';
import type {LoadRequest} from './load.ts';
import {anonymousMiB, cpuSeconds, watchPeak} from './processes.ts';
import {atMost, number, type Row, type Section} from './report.ts';
import {startWeir, type Weir} from './weir.ts';

const bucket = 'many';
const keysPerPage = 1000;
const nameOf = (i: number): string => `p/key-${String(i).padStart(7, '0')}`;
const maxAge = '1d';
/** Idle, and what a window of a directory and the metadata that is not yet on disk may take. */
const listingMiBMax = 512;
const firstPageMsMax = 3000;
/** Pages asked for at one place of the directory, and what a key of them may cost, µs. */
const pagesAtOnePlace = 100;
const keyMicrosecondsMax = 8;

interface Walk {
  readonly firstMs: number;
  readonly microsecondsAKey: number;
  readonly keys: number;
  readonly peakMiB: number;
}

async function walk(weir: Weir, query: string): Promise<Walk> {
  const client = new S3Client({endpoint: weir.s3.origin, accessKeyId: weir.accessKeyId, secretAccessKey: weir.secretAccessKey});
  using memory = watchPeak(() => anonymousMiB(weir.pid));
  let keys = 0;
  let firstMs = 0;
  let before = '';
  const cpu = cpuSeconds(weir.pid);
  for (let token = ''; ; ) {
    const started = performance.now();
    const text = (await client.must('GET', `/${bucket}`, {query: `list-type=2&${query}${token === '' ? '' : `&continuation-token=${encodeURIComponent(token)}`}`})).body.toString();
    if (token === '') firstMs = performance.now() - started;
    for (const [, key = ''] of text.matchAll(/<(?:Contents><Key|CommonPrefixes><Prefix)>([^<]*)</g)) {
      if (key <= before) throw new Error(`${key} was listed after ${before}`);
      before = key;
      keys++;
    }
    token = /<NextContinuationToken>([^<]*)</.exec(text)?.[1] ?? '';
    if (token === '') break;
  }
  client.close();
  return {firstMs, microsecondsAKey: ((cpuSeconds(weir.pid) - cpu) / Math.max(1, keys)) * 1e6, keys, peakMiB: memory.peak};
}

/** µs of CPU a key, of pages that begin at one place. */
async function atPlace(weir: Weir, after: number): Promise<number> {
  const {accessKeyId, secretAccessKey, s3, pid} = weir;
  const page: LoadRequest = {path: `/${bucket}`, query: [['list-type', '2'], ['prefix', 'p/'], ['start-after', nameOf(after)]]};
  const requests = Array.from({length: pagesAtOnePlace}, () => page);
  const load = await generateLoad({accessKeyId, secretAccessKey, host: s3.hostname, port: Number(s3.port), method: 'GET', requests, connections: 1, warmUps: 1}, pid, {pinned: false});
  return ((load.serverCpuSeconds / load.requests) * 1e6) / keysPerPage;
}

export async function listing({quick, say}: BenchOptions): Promise<Section> {
  const count = quick ? 20_000 : 1_000_000;
  const given = process.env['WEIR_BENCH_NAMES'];
  const folder = given ?? (await mkdtemp(path.join(tmpdir(), 'weir-bench-names-')));
  try {
    if (given === undefined) {
      say(`making ${count} files`);
      mkdirSync(path.join(folder, 'p'));
      for (let i = 0; i < count; i++) closeSync(openSync(path.join(folder, nameOf(i)), 'w'));
    }
    const rows: Row[] = [];
    const measure = async (from: string, weir: Weir): Promise<void> => {
      for (const [what, query, expected] of [
        ['its parent by delimiter', 'delimiter=%2F', 1],
        ['all, first time', 'prefix=p%2F', count],
        ['all, second time', 'prefix=p%2F', count],
        ['all by delimiter', 'delimiter=%2F&prefix=p%2F', count],
      ] as const) {
        say(`${from}: ${what}`);
        const {firstMs, microsecondsAKey, keys, peakMiB} = await walk(weir, query);
        if (keys !== expected) throw new Error(`${from}: ${what}: ${keys} keys of ${expected}`);
        rows.push({what: `${from}, ${what}: first page`, measured: `${number(firstMs)} ms`, beside: '', figure: firstMs, goal: atMost(firstPageMsMax)});
        if (expected > 1) rows.push({what: `${from}, ${what}: CPU a key`, measured: `${number(microsecondsAKey)} µs`, beside: ''});
        rows.push({what: `${from}, ${what}: RssAnon at most`, measured: `${number(peakMiB)} MiB`, beside: '', figure: peakMiB, goal: atMost(listingMiBMax)});
      }
    };
    await using near = await startWeir([{uri: `file://${folder}=/${bucket}`, options: {maxAge}}]);
    await measure('from a folder', near);
    for (const [where, after] of [['the middle', count / 2], ['the end', count - keysPerPage - 1]] as const) {
      say(`pages at ${where}`);
      const figure = await atPlace(near, after);
      rows.push({what: `from a folder, the same page again and again, at ${where}: CPU a key`, measured: `${number(figure)} µs`, beside: '', figure, goal: atMost(keyMicrosecondsMax)});
    }
    const {accessKeyId, secretAccessKey} = near;
    await using far = await startWeir([{uri: `s3://${bucket}`, options: {endpoint: near.s3.origin, accessKeyId, secretAccessKey, maxAge}}]);
    await measure('from S3', far);
    return {name: 'listing', title: `Listing ${number(count)} names of one directory`, rows, notes: ['pages of 1 000 keys, one after the other; from S3: another instance, which lists the folder']};
  } finally {
    if (given === undefined) await rm(folder, {recursive: true});
  }
}
