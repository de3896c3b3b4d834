/**
 * Durable commits a second of the metastore, beside bare LMDB committing the same mutations in groups, in one run.
 *
 *   node --conditions=source bench/micro/metastore.ts [--seconds 3]
 *
 * Goal: at least 0.6 of bare LMDB with 256 in flight. Single runs on a shared machine differ by a factor of two: compare the CPU of a commit,
 * or the median of many short pairs. On two cores with 256 in flight:
 *
 * - Keys kept in order by a tree per change, a map per batch, two objects a change: 0.60 (quiet machine), 10.6 µs a commit.
 * - Keys put in order when a range wants them (metastore/overlay.ts): 6–8 µs; median of nine pairs 0.88 on a loaded machine (0.73–2.72; the
 *   disk was shared, which hurts LMDB's writing of pages more than appending to a log), some pairs before that 0.49.
 *
 * Where the time of the main thread goes now (--cpu-prof): a third is waiting for the disk; LMDB's own encoding of the batches behind takes an
 * eighth, the garbage collector a twentieth, and nothing of ours is above 3 %. What is left to win is that wait: a burst of commits goes to the
 * disk as one group, so nobody commits while it is synced. Groups cut at 64 records would overlap the two on a quick disk, and halve the
 * throughput on one whose sync takes longer than the burst, so they would have to follow the measured time of a sync.
 */
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {open} from 'lmdb';
import type {ByteString} from '#base/byte-string.ts';
import {openLmdbEngine} from '#metastore/lmdb/lmdb-engine.ts';
import {openMetastore} from '#metastore/open-metastore.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';

const runtime = createNodeRuntime({log: {level: 'error'}});
const value = Buffer.alloc(150, 7);
const entryKey = (i: number) => `e12345678file-${String(i).padStart(10, '0')}` as ByteString;
const inodeKey = (i: number) => `i${String(i).padStart(16, '0')}` as ByteString;

/** Runs `inFlight` loops of `commit` for a while; commits a second, and CPU µs each. */
async function rate(inFlight: number, seconds: number, commit: (i: number) => Promise<unknown>): Promise<{perSecond: number; cpu: number}> {
  let next = 0;
  let done = 0;
  const cpu = process.cpuUsage();
  const started = performance.now();
  await Promise.all(
    Array.from({length: inFlight}, async () => {
      while (performance.now() - started < seconds * 1000) {
        await commit(next++);
        done++;
      }
    }),
  );
  const elapsed = (performance.now() - started) / 1000;
  const used = process.cpuUsage(cpu);
  return {perSecond: done / elapsed, cpu: (used.user + used.system) / done};
}

async function withDirectory<T>(fn: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(path.join(tmpdir(), 'weir-bench-'));
  try {
    return await fn(directory);
  } finally {
    await rm(directory, {recursive: true});
  }
}

const bareLmdb = (inFlight: number, seconds: number) =>
  withDirectory(async (directory) => {
    const database = open<Buffer, Buffer>({path: path.join(directory, 'bare.mdb'), keyEncoding: 'binary', encoding: 'binary', noSubdir: true} as never);
    const result = await rate(inFlight, seconds, async (i) => {
      void database.put(Buffer.from(entryKey(i), 'latin1'), value);
      void database.put(Buffer.from(inodeKey(i), 'latin1'), value);
      await database.flushed;
    });
    await database.close();
    return result;
  });

const metastore = (inFlight: number, seconds: number) =>
  withDirectory(async (directory) => {
    const engine = await openLmdbEngine(runtime.disk, path.join(directory, 'state'));
    await using store = await openMetastore({runtime, directory: path.join(directory, 'log'), engine});
    const commits = await rate(
      inFlight,
      seconds,
      (i) =>
        store.transact((tx) => {
          tx.put(entryKey(i), value);
          tx.put(inodeKey(i), value);
        }).durable,
    );
    await (await store.snapshot())[Symbol.asyncDispose]();
    const reads = 200_000;
    const started = performance.now();
    for (let i = 0; i < reads; i++) store.read((reader) => reader.get(inodeKey((i * 7919) % 10_000)));
    return {...commits, gets: reads / ((performance.now() - started) / 1000)};
  });

export interface CommitRates {
  readonly inFlight: number;
  readonly bare: {readonly perSecond: number; readonly cpu: number};
  readonly ours: {readonly perSecond: number; readonly cpu: number; readonly gets: number};
}

/** Bare LMDB and the metastore, one after the other, each for `seconds`. */
export async function compareCommits(inFlight: number, seconds: number): Promise<CommitRates> {
  return {inFlight, bare: await bareLmdb(inFlight, seconds), ours: await metastore(inFlight, seconds)};
}

if (import.meta.main) {
  const seconds = Number(process.argv[process.argv.indexOf('--seconds') + 1]) || 3;
  console.log('in flight   bare LMDB/s    Weir/s   ratio   µs CPU each (LMDB, Weir)   gets/s');
  for (const inFlight of [16, 64, 256]) {
    const {bare, ours} = await compareCommits(inFlight, seconds);
    const cells = [String(inFlight), bare.perSecond.toFixed(0), ours.perSecond.toFixed(0), (ours.perSecond / bare.perSecond).toFixed(2), `${bare.cpu.toFixed(1)}, ${ours.cpu.toFixed(1)}`, ours.gets.toFixed(0)];
    console.log(cells.map((cell, i) => cell.padStart([9, 13, 9, 7, 26, 8][i]!)).join(' '));
  }
}
