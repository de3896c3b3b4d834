/**
 * The first test that a toy cannot pass: a writer replaces objects in the bucket, past Weir, every 100 ms; readers through S3, REST and
 * the TypeScript client read ranges and wholes of them under a cache quota of a tenth of the data, while the process is killed with -9
 * every few seconds. No read holds bytes of two versions, or zeros, or a version that had been replaced longer than `maxAge` ago.
 *
 * 40 s by default; WEIR_TEST_MINUTES=N runs longer, WEIR_TEST_SEED repeats the choices of a run.
 */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {setTimeout as sleep} from 'node:timers/promises';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {seededRandom, startStack, type Weir} from './harness.ts';
import {versionBytes, versionOf} from './pages.ts';
import {fileSystemReader, type Reader, restReader, s3Reader} from './readers.ts';

const minutes = Number(process.env['WEIR_TEST_MINUTES'] ?? 0);
const runMs = minutes > 0 ? minutes * 60_000 : 40_000;
const killEveryMs = minutes > 0 ? 20_000 : 7_000;
const seed = Number(process.env['WEIR_TEST_SEED'] ?? Date.now() % 1e9);
const maxAgeMs = 1000;
/** A machine under load answers late, and the age of a belief begins when its answer comes. */
const lateMs = 10_000;
/** Below and above the 256 KiB where contents get a file of their own. */
const lengths = [5_000, 70_000, 262_144, 300_001, 1 << 20, 2_500_000, 6 << 20];
const objectCount = 28;
const readersEach = 2;

interface Version {
  readonly version: number;
  readonly length: number;
  /** When the store had acknowledged the next one. */
  replacedMs: number;
}

test(`no read holds two versions (seed ${seed}, ${runMs / 1000} s)`, {timeout: runMs + 120_000}, async context => {
  const random = seededRandom(seed);
  const pick = (n: number): number => Math.floor(random() * n);
  const cache = await mkdtemp(path.join(tmpdir(), 'weir-cache-'));
  // After everything that is disposed of here: a live instance still writes into it.
  context.after(() => rm(cache, {recursive: true, force: true}));
  const dataBytes = lengths.reduce((sum, length) => sum + length, 0) * (objectCount / lengths.length);
  await using stack = await startStack('reads under replacement and kill -9', {
    mountOptions: [`maxAge=${maxAgeMs}ms`],
    args: ['--disk', `${cache}:${Math.round(dataBytes / 10 / 1024)}KiB`],
    bytesPerSecond: 1e9,
  });
  if (!stack) return context.skip('no S3 server');
  const {weir, direct, bucket} = stack;
  const keyOf = (object: number): string => `objects/${object % 5}/n ${object}`;
  const history: Version[][] = [];
  const replace = async (object: number): Promise<void> => {
    const before = (history[object] ??= []).at(-1);
    const next: Version = {version: (before?.version ?? 0) + 1, length: lengths[(object + (before?.version ?? 0)) % lengths.length]! + pick(3) * 4096 + pick(2), replacedMs: Infinity};
    const bytes = versionBytes(object, next.version, next.length);
    history[object]!.push(next);
    await direct.put(bucket, keyOf(object), bytes);
    if (before) before.replacedMs = Date.now();
  };
  for (let object = 0; object < objectCount; object++) await replace(object);

  const endMs = Date.now() + runMs;
  const stop = new AbortController();
  const faults: string[] = [];
  const counts: Record<string, {whole: number; ranges: number; errors: number; bytes: number}> = {};
  const kinds = new Map<string, number>();
  const running = (): boolean => Date.now() < endMs && faults.length === 0;

  const write = async (): Promise<void> => {
    while (running()) {
      const started = Date.now();
      // Few objects often, so that readers meet their replacement.
      await replace(random() < 0.5 ? pick(4) : pick(objectCount));
      await sleep(Math.max(0, started + 100 - Date.now()));
    }
  };
  const kill = async (): Promise<void> => {
    while (running()) {
      await sleep(killEveryMs * (0.5 + random()), undefined, {signal: stop.signal}).catch(() => {});
      if (running()) await weir.restart('SIGKILL');
    }
  };
  const read = async (name: string, make: (weir: Weir) => Reader): Promise<void> => {
    const count = (counts[name] ??= {whole: 0, ranges: 0, errors: 0, bytes: 0});
    let reader: Reader | undefined;
    while (running()) {
      const object = random() < 0.6 ? pick(4) : pick(objectCount);
      const offset = random() < 0.3 ? 0 : pick(history[object]!.at(-1)!.length);
      const length = offset === 0 && random() < 0.6 ? undefined : 1 + pick(300_000);
      const startedMs = Date.now();
      const got = {bytes: Buffer.alloc(0), total: undefined as number | undefined, whole: false};
      try {
        reader ??= make(weir);
        await reader.read(bucket, keyOf(object), {offset, ...(length === undefined ? {} : {length})}, got);
      } catch (error) {
        count.errors++;
        const kind = `${name}: ${String((error as {code?: string}).code ?? (error as Error).message).slice(0, 60)}`;
        kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
        await reader?.close();
        reader = undefined;
        await sleep(weir.running ? 5 : 100);
      }
      // Bytes count even where the answer broke off afterwards.
      if (got.bytes.length === 0) continue;
      const what = `${name} of ${keyOf(object)} from ${offset}, ${length ?? 'all'} bytes`;
      try {
        const candidates = history[object]!.filter(({length: candidate}) => got.total === undefined || candidate === got.total);
        const version = versionOf(got.bytes, object, offset) ?? candidates.find(({version: candidate}) => matches(got.bytes, object, offset, candidate))?.version;
        const known = history[object]!.find(candidate => candidate.version === version);
        assert.ok(known, `${what}: a version that was never written (${version})`);
        if (got.total !== undefined) assert.equal(got.total, known.length, `${what}: the length of another version than ${version}`);
        if (got.whole) assert.equal(got.bytes.length, Math.min(length ?? Infinity, known.length - offset), `${what}: fewer bytes than asked`);
        assert.ok(startedMs < known.replacedMs + maxAgeMs + lateMs, `${what}: version ${version}, replaced ${startedMs - known.replacedMs} ms before the read began`);
        if (got.whole) {
          count[length === undefined ? 'whole' : 'ranges']++;
          count.bytes += got.bytes.length;
        }
      } catch (error) {
        faults.push(`${what}: ${(error as Error).message}`);
      }
    }
    await reader?.close();
  };

  const readers = {s3: s3Reader, rest: restReader, client: fileSystemReader};
  const work = Object.entries(readers).flatMap(([name, make]) => Array.from({length: readersEach}, () => read(name, make)));
  const killing = kill();
  try {
    await Promise.all([write(), ...work]);
  } finally {
    stop.abort();
    await killing;
    direct.close();
  }
  for (const [name, count] of Object.entries(counts)) context.diagnostic(`${name}: ${JSON.stringify(count)}`);
  context.diagnostic(`versions written: ${history.reduce((sum, {length}) => sum + length, 0)}; errors: ${JSON.stringify(Object.fromEntries(kinds))}`);
  assert.deepEqual(faults, []);
  for (const [name, count] of Object.entries(counts)) assert.ok(count.whole > 20 && count.ranges > 20, `too few reads by ${name} came through: ${JSON.stringify(count)}`);
});

function matches(bytes: Buffer, object: number, offset: number, version: number): boolean {
  try {
    versionOf(bytes, object, offset, version);
    return true;
  } catch {
    return false;
  }
}
