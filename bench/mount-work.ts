/**
 * What programs do on a mount, in a thread of its own: plain system calls, one after the other, so that nothing but them is measured. Takes
 * its MountJob as workerData and posts one MountResult.
 */
import {spawnSync} from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {isMainThread, parentPort, Worker, workerData} from 'node:worker_threads';
import {kib, mib} from './bench.ts';

export type MountJob =
  | {readonly kind: 'sequential-read'; readonly file: string}
  /** `direct`: past the kernel's cache. */
  | {readonly kind: 'random-read'; readonly file: string; readonly reads: number; readonly chunkBytes: number; readonly seed: number; readonly direct?: boolean}
  | {readonly kind: 'read-files' | 'stat'; readonly files: readonly string[]}
  /** With an fsync at the end. */
  | {readonly kind: 'sequential-write'; readonly file: string; readonly bytes: number}
  | {readonly kind: 'create'; readonly directory: string; readonly files: number; readonly bytes: number}
  /** One transaction each, in a database with a write-ahead log and synchronous=FULL. */
  | {readonly kind: 'insert'; readonly database: string; readonly rows: number}
  | {readonly kind: 'run'; readonly command: string; readonly args: readonly string[]; readonly directory: string};

export interface MountResult {
  /** Epoch ms. */
  readonly from: number;
  readonly until: number;
  readonly operations: number;
  readonly bytes: number;
}

const chunk = Buffer.alloc(mib, 'weir ');

function perform(job: MountJob): {operations: number; bytes: number} {
  switch (job.kind) {
    case 'sequential-read':
      return sequentialRead(job.file);
    case 'random-read':
      return randomRead(job);
    case 'read-files':
      return {operations: job.files.length, bytes: job.files.reduce((sum, file) => sum + readWhole(file), 0)};
    case 'stat':
      for (const file of job.files) fs.statSync(file);
      return {operations: job.files.length, bytes: 0};
    case 'sequential-write':
      return sequentialWrite(job.file, job.bytes);
    case 'create':
      return create(job.directory, job.files, job.bytes);
    case 'insert':
      return insert(job.database, job.rows);
    case 'run':
      return run(job.command, job.args, job.directory);
  }
}

function sequentialRead(file: string): {operations: number; bytes: number} {
  const bytes = readWhole(file);
  return {operations: Math.ceil(bytes / chunk.length), bytes};
}

function readWhole(file: string): number {
  const descriptor = fs.openSync(file, 'r');
  let bytes = 0;
  for (let count; (count = fs.readSync(descriptor, chunk, 0, chunk.length, null)) > 0; ) bytes += count;
  fs.closeSync(descriptor);
  return bytes;
}

function randomRead({file, reads, chunkBytes, seed, direct}: Extract<MountJob, {kind: 'random-read'}>): {operations: number; bytes: number} {
  const descriptor = fs.openSync(file, fs.constants.O_RDONLY | (direct === true ? fs.constants.O_DIRECT : 0));
  const chunks = Math.floor(fs.fstatSync(descriptor).size / chunkBytes);
  const buffer = Buffer.alloc(chunkBytes);
  let state = seed;
  for (let i = 0; i < reads; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    if (fs.readSync(descriptor, buffer, 0, chunkBytes, Math.floor((state / 2 ** 32) * chunks) * chunkBytes) !== chunkBytes) throw new Error(`a short read of ${file}`);
  }
  fs.closeSync(descriptor);
  return {operations: reads, bytes: reads * chunkBytes};
}

function sequentialWrite(file: string, bytes: number): {operations: number; bytes: number} {
  const descriptor = fs.openSync(file, 'w');
  for (let at = 0; at < bytes; at += chunk.length) fs.writeSync(descriptor, chunk, 0, Math.min(chunk.length, bytes - at));
  fs.fsyncSync(descriptor);
  fs.closeSync(descriptor);
  return {operations: Math.ceil(bytes / chunk.length), bytes};
}

function create(directory: string, files: number, bytes: number): {operations: number; bytes: number} {
  for (let i = 0; i < files; i++) {
    const descriptor = fs.openSync(path.join(directory, `file-${i}`), 'wx');
    fs.writeSync(descriptor, chunk, 0, bytes);
    fs.closeSync(descriptor);
  }
  return {operations: files, bytes: files * bytes};
}

function insert(database: string, rows: number): {operations: number; bytes: number} {
  const open = new DatabaseSync(database);
  open.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, text TEXT)');
  const statement = open.prepare('INSERT INTO rows (text) VALUES (?)');
  const text = 'x'.repeat(100);
  for (let i = 0; i < rows; i++) statement.run(text);
  open.close();
  return {operations: rows, bytes: 0};
}

function run(command: string, args: readonly string[], directory: string): {operations: number; bytes: number} {
  const {status, stderr, error} = spawnSync(command, args, {cwd: directory, stdio: ['ignore', 'ignore', 'pipe'], maxBuffer: mib, env: {...process.env, GIT_OPTIONAL_LOCKS: '1'}});
  if (status !== 0) throw new Error(`${command} failed: ${error?.message ?? stderr.toString().slice(0, kib)}`);
  return {operations: 1, bytes: 0};
}

/** Side by side, each in its thread; the time is from the first one's beginning to the last one's end. */
export async function work(jobs: readonly MountJob[]): Promise<{readonly seconds: number; readonly operations: number; readonly bytes: number}> {
  const results = await Promise.all(jobs.map(job => new Promise<MountResult>((resolve, reject) => {
    const thread = new Worker(new URL(import.meta.url), {workerData: job});
    thread.once('message', resolve);
    thread.once('error', reject);
  })));
  const sum = (of: (result: MountResult) => number): number => results.reduce((total, result) => total + of(result), 0);
  const seconds = (Math.max(...results.map(({until}) => until)) - Math.min(...results.map(({from}) => from))) / 1000;
  return {seconds, operations: sum(({operations}) => operations), bytes: sum(({bytes}) => bytes)};
}

if (!isMainThread && parentPort) {
  const now = (): number => performance.timeOrigin + performance.now();
  const from = now();
  const done = perform(workerData as MountJob);
  parentPort.postMessage({from, until: now(), ...done} satisfies MountResult);
}
