/**
 * Namespace operations a second, in process and durable, over the metastore on LMDB, in a small and a large tree of one run;
 * goal: none slower in the large one by more than 2 times. Also prints what the codec alone costs.
 *
 *   node --conditions=source bench/micro/namespace.ts [--files 10000,1000000] [--seconds 2]
 */
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import type {ByteString} from '#base/byte-string.ts';
import type {ContentId} from '#base/ids.ts';
import {decodeInode, encodeInode} from '#codec/namespace/inode-record.ts';
import {IdAllocator} from '#master/namespace/ids.ts';
import {list} from '#master/namespace/list.ts';
import {initialiseNamespace} from '#master/namespace/mounts.ts';
import type {Operation} from '#master/namespace/operation.ts';
import {rootMountId} from '#master/namespace/place.ts';
import {putFile} from '#master/namespace/put-file.ts';
import {rename} from '#master/namespace/rename.ts';
import {stat} from '#master/namespace/stat.ts';
import {openLmdbEngine} from '#metastore/lmdb/lmdb-engine.ts';
import type {Commit, Metastore, Transaction} from '#metastore/metastore.ts';
import {openMetastore} from '#metastore/open-metastore.ts';
import type {Content} from '#model/content.ts';
import type {Inode} from '#model/inode.ts';
import {defaultFreshness, type Mount} from '#model/mount.ts';
import {parsePath} from '#model/path.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';

const inFlight = 64;
export const filesPerDirectory = 1000;
const loadFilesPerTransaction = 100;
const listEntries = 100;

const runtime = createNodeRuntime({log: {level: 'error'}});
const ids = new IdAllocator();
let clock = 1_700_000_000_000_000_000n;

/** Of a renamed file's name. */
export const movedSuffix = '.moved';

/** Where file number `i` is. */
export const directoryOf = (i: number) => `/bucket/data/part-${String(Math.floor(i / filesPerDirectory)).padStart(5, '0')}/` as ByteString;
export const pathOf = (i: number) => `${directoryOf(i)}file-${String(i).padStart(9, '0')}.parquet` as ByteString;

function contentFor(at: ByteString): Content {
  const etag = String(at.length + 10).padStart(32, '0');
  return {
    id: ids.next<ContentId>(), length: 4096, mount: rootMountId, storeKey: at.slice(1) as ByteString, fingerprint: etag, etag, checksums: {crc64nvme: 'AAAAAAAAAAA='},
    metadata: {'content-type': 'application/octet-stream'}, committedAt: clock,
  };
}

function transact<T>(store: Metastore, fn: (tx: Transaction, op: Operation) => T): Commit<T> {
  ids.ensure(store, 1024);
  clock += 20_000n;
  return store.transact((tx) => fn(tx, {now: clock, ids}));
}

const keys = {directory: '/bucket' as ByteString, view: 'keys', limit: listEntries} as const;
const folded = {...keys, prefix: 'data/' as ByteString, delimiter: '/' as ByteString, limit: 5} as const;
const homeMount: Mount = {id: rootMountId, path: '/' as ByteString, uri: 'file:///', options: {}, readOnly: false, freshness: defaultFreshness, writeType: 'CACHE_THROUGH', createdAt: 0};

const create = (tx: Transaction, op: Operation, at: ByteString) => putFile(tx, op, parsePath(at, 'file'), {content: contentFor(at)});

export async function load(store: Metastore, files: number): Promise<void> {
  for (let i = 0; i < files; ) {
    const {durable} = transact(store, (tx, op) => {
      for (const end = Math.min(files, i + loadFilesPerTransaction); i < end; i++) create(tx, op, pathOf(i));
    });
    if (i % 10_000 === 0) await durable;
    while (store.status().overlayEntries > 100_000) await new Promise((resolve) => void setTimeout(resolve, 20));
  }
  await (await store.snapshot())[Symbol.asyncDispose]();
}

/** Operations a second of `inFlight` loops, each waiting for its own to be durable. */
async function durableRate(seconds: number, run: (i: number) => Commit<unknown>): Promise<number> {
  let next = 0;
  const started = performance.now();
  await Promise.all(Array.from({length: inFlight}, async () => {
    while (performance.now() - started < seconds * 1000) await run(next++).durable;
  }));
  return next / ((performance.now() - started) / 1000);
}

/** Operations a second, one after the other, with a turn of the event loop every 1000, as in a server. */
async function readRate(seconds: number, run: (i: number) => unknown): Promise<number> {
  let count = 0;
  const started = performance.now();
  while (performance.now() - started < seconds * 1000) {
    for (const end = count + 1000; count < end; count++) run(count);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return count / ((performance.now() - started) / 1000);
}

/** Operations a second by name, in a tree of `files`, each measured for `seconds`. */
export async function measureNamespace(files: number, seconds: number): Promise<Record<string, number>> {
  const directory = await mkdtemp(path.join(tmpdir(), 'weir-bench-'));
  try {
    const engine = await openLmdbEngine(runtime.disk, path.join(directory, 'state'));
    await using store = await openMetastore({runtime, directory: path.join(directory, 'log'), engine});
    transact(store, (tx, op) => initialiseNamespace(tx, op, homeMount));
    await load(store, files);
    const any = (i: number) => pathOf((i * 7919) % files);
    let created = 0;
    return {
      stat: await readRate(seconds, (i) => store.read((reader) => stat(reader, parsePath(any(i), 'file')))),
      [`list of ${listEntries}`]: await readRate(seconds, (i) => store.read((reader) => list(reader, {...keys, after: any(i).slice('/bucket/'.length) as ByteString}))),
      'folded list of 5': await readRate(seconds, (i) => store.read((reader) => list(reader, {...folded, after: `data/part-0000${i % 4}/` as ByteString}))),
      create: await durableRate(seconds, (i) => {
        created = i + 1;
        return transact(store, (tx, op) => create(tx, op, pathOf(files + i)));
      }),
      // Over what was created, there and back again, however many there is time for.
      rename: await durableRate(seconds, (i) => {
        const name = pathOf(files + (i % created));
        const moved = `${name}${movedSuffix}` as ByteString;
        const there = Math.floor(i / created) % 2 === 0;
        const from = parsePath(there ? name : moved, 'file');
        const to = parsePath(there ? moved : name, 'file');
        return transact(store, (tx, op) => rename(tx, op, from, to, {replace: false, trees: 'follow'}));
      }),
    };
  } finally {
    await rm(directory, {recursive: true});
  }
}

function codecCost(): void {
  const tx = {get: () => undefined, look: () => undefined, range: () => [], recall: () => undefined, keep: () => undefined, put: () => undefined, delete: () => undefined};
  ids.ensure({transact: (fn) => ({result: fn(tx), sequence: 0, safe: Promise.resolve(), durable: Promise.resolve(), eventually: Promise.resolve()})});
  const key = 'bucket/data/file' as ByteString;
  const inode: Inode = {
    id: 5000 as Inode['id'], kind: 'file', parent: 4000 as Inode['id'], name: 'file-000000001.parquet' as ByteString, mode: 0o644, uid: 0, gid: 0, atime: clock, mtime: clock, ctime: clock,
    checkedAt: Number(clock / 1_000_000n), content: {...contentFor(key), storeKey: key},
  };
  const record = encodeInode(inode, key);
  const rounds = 300_000;
  for (const [what, run] of [['encode', () => encodeInode(inode, key)], ['decode', () => decodeInode(inode.id, record, key)]] as const) {
    for (let i = 0; i < rounds / 10; i++) run();
    const started = performance.now();
    for (let i = 0; i < rounds; i++) run();
    console.log(`${what} an inode of ${record.length} bytes: ${(((performance.now() - started) * 1000) / rounds).toFixed(2)} µs`);
  }
}

if (import.meta.main) {
  const option = (name: string, fallback: string) => (process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1]! : fallback);
  const sizes = option('--files', '10000,1000000').split(',').map(Number);
  const seconds = Number(option('--seconds', '2'));
  codecCost();
  const results: Record<string, number>[] = [];
  for (const files of sizes) results.push(await measureNamespace(files, seconds));
  console.log(`${'a second, with files:'.padEnd(22)}${sizes.map((files) => String(files).padStart(12)).join('')}   first ÷ last`);
  for (const name of Object.keys(results[0]!)) {
    const row = results.map((result) => result[name]!);
    console.log(`${name.padEnd(22)}${row.map((value) => value.toFixed(0).padStart(12)).join('')}   ${(row[0]! / row.at(-1)!).toFixed(2)}`);
  }
}
