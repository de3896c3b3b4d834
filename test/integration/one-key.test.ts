/**
 * Three names, used by clients of S3, of REST and of the mount at once: put, completed uploads, renames, removals and reads. Every history of what they
 * were answered can be put in an order, in which each takes effect at one moment between its question and its answer, and each reads one whole version:
 * they are linearizable (Herlihy and Wing, 1990), across all front ends. Rounds of some calls at once are checked by trying all orders.
 *
 * 8 s for each kind of store by default; WEIR_TEST_MINUTES=N runs longer, WEIR_TEST_SEED repeats the choices of a run. Needs root and /dev/fuse.
 */
import assert from 'node:assert/strict';
import {execFile} from 'node:child_process';
import {mkdtemp, open, rename, rm, unlink, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {it} from 'node:test';
import {promisify} from 'node:util';
import {type WriteType, writeTypes} from '#model/mount.ts';
import {unmountable} from '../conformance/posix/places.ts';
import {seededRandom, startStack, Weir} from './harness.ts';
import type {S3Client} from './s3-client.ts';

const minutes = Number(process.env['WEIR_TEST_MINUTES'] ?? 0);
const runMs = minutes > 0 ? minutes * 60_000 : 8_000;
const seed = Number(process.env['WEIR_TEST_SEED'] ?? Date.now() % 1e9);
const names = ['a', 'b', 'c'];
const lengths = [16, 700, 70_000, 300_000, 1_200_000];
const clientsAtOnce = 8;

/** By name, which version is there; 0: none. */
type State = readonly number[];

interface Call {
  readonly text: string;
  readonly began: number;
  readonly ended: number;
  /** What may be there after it, where it took effect in this state and was answered as it was. */
  readonly after: (state: State) => readonly State[];
}

const withName = (state: State, at: number, version: number): State => state.with(at, version);

/** All states that the calls may have led to, in any order that is true to when they began and ended. */
function reached(calls: readonly Call[], from: readonly State[]): State[] {
  const found = new Map<string, State>();
  const seen = new Set<string>();
  const visit = (left: readonly Call[], state: State): void => {
    const key = `${left.map(call => calls.indexOf(call)).join()}:${state.join()}`;
    if (seen.has(key)) return;
    seen.add(key);
    if (left.length === 0) return void found.set(state.join(), state);
    const firstEnd = Math.min(...left.map(({ended}) => ended));
    for (const call of left) if (call.began <= firstEnd) for (const next of call.after(state)) visit(left.filter(other => other !== call), next);
  };
  for (const state of from) visit(calls, state);
  return [...found.values()];
}

function bytesOf(version: number, length: number): Buffer {
  return Buffer.alloc(length, `<${String(version).padStart(13, '0')}>\n`);
}

/** Which version it is, whole. */
function versionOf(bytes: Buffer, lengthsOf: ReadonlyMap<number, number>): number {
  const version = Number(bytes.subarray(1, 14).toString());
  assert.equal(bytes.length, lengthsOf.get(version), `the length of version ${version}`);
  assert.ok(bytes.equals(bytesOf(version, bytes.length)), `all is version ${version}`);
  return version;
}

class Play {
  readonly #weir: Weir;
  readonly #s3: S3Client;
  readonly #bucket: string;
  readonly #box: string;
  readonly #random = seededRandom(seed);
  readonly #lengths = new Map<number, number>();
  #versions = 0;
  #clock = 0;

  constructor(weir: Weir, bucket: string, box: string) {
    this.#weir = weir;
    this.#s3 = weir.s3;
    this.#bucket = bucket;
    this.#box = box;
  }

  async run(untilMs: number): Promise<number> {
    let states: State[] = [names.map(() => 0)];
    let rounds = 0;
    let before = '';
    using _ = {[Symbol.dispose]: () => this.#s3.close()};
    for (; Date.now() < untilMs; rounds++) {
      const calls = await Promise.all(Array.from({length: clientsAtOnce}, async () => await this.#call()));
      const next = reached(calls, states);
      const shown = calls.toSorted((a, b) => a.began - b.began).map(({text, began, ended}) => `${began}–${ended} ${text}`).join('\n');
      assert.ok(next.length > 0, `round ${rounds}: from ${states.map(state => `[${state.join(' ')}]`).join(' or ')} there is no order of\n${shown}\nwhat came before:\n${before}\n${this.#weir.log.slice(-1000)}`);
      states = next;
      before = shown;
    }
    return rounds;
  }

  #pick(count: number): number {
    return Math.floor(this.#random() * count);
  }

  async #call(): Promise<Call> {
    const at = this.#pick(names.length);
    const calls = [
      () => this.#put(at, 'S3'), () => this.#put(at, 'REST'), () => this.#put(at, 'mount'), () => this.#put(at, 'parts'),
      () => this.#read(at, 'S3'), () => this.#read(at, 'REST'), () => this.#read(at, 'mount'), () => this.#read(at, 'mount'),
      () => this.#rename(at, (at + 1 + this.#pick(names.length - 1)) % names.length), () => this.#remove(at, 'S3'), () => this.#remove(at, 'mount'),
    ];
    return await calls[this.#pick(calls.length)]!();
  }

  /** `call` answers what may be there after it. */
  async #timed(text: string, call: () => Promise<{readonly answer: unknown; readonly after: Call['after']}>): Promise<Call> {
    const began = ++this.#clock;
    const {answer, after} = await call();
    return {text: `${text}: ${String(answer)}`, began, ended: ++this.#clock, after};
  }

  async #put(at: number, how: 'S3' | 'REST' | 'mount' | 'parts'): Promise<Call> {
    const version = ++this.#versions;
    const bytes = bytesOf(version, lengths[this.#pick(lengths.length)]!);
    this.#lengths.set(version, bytes.length);
    const target = `/${this.#bucket}/${names[at]}`;
    const s3 = this.#s3;
    let publish: () => Promise<unknown> = () => s3.must('PUT', target, {body: bytes});
    if (how === 'REST') publish = () => this.#weir.restResponse('PUT', `content?path=${target}`, {body: Uint8Array.from(bytes)}).then(response => assert.ok(response.ok, `${response.status}`));
    if (how === 'mount') {
      const aside = path.join(this.#box, `new-${version}`);
      await writeFile(aside, bytes);
      publish = () => rename(aside, path.join(this.#box, names[at]!));
    }
    if (how === 'parts') {
      const id = /<UploadId>([^<]*)</.exec((await s3.must('POST', target, {query: 'uploads'})).body.toString())![1]!;
      const {headers} = await s3.must('PUT', target, {query: `partNumber=1&uploadId=${id}`, body: bytes});
      const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${headers.etag}</ETag></Part></CompleteMultipartUpload>`;
      publish = async () => assert.match((await s3.must('POST', target, {query: `uploadId=${id}`, body})).body.toString(), /<CompleteMultipartUploadResult/);
    }
    return await this.#timed(`${how} puts ${names[at]} (${bytes.length})`, async () => {
      await publish();
      return {answer: version, after: state => [withName(state, at, version)]};
    });
  }

  async #read(at: number, how: 'S3' | 'REST' | 'mount'): Promise<Call> {
    return await this.#timed(`${how} reads ${names[at]}`, async () => {
      const read = how === 'S3' ? this.#s3.get(this.#bucket, names[at]!) : how === 'REST' ? this.#readByRest(at) : this.#readMounted(at);
      const bytes = await read.catch(ifReplaced);
      if (bytes === 'replaced') return {answer: bytes, after: state => [state]};
      const version = bytes ? versionOf(bytes, this.#lengths) : 0;
      return {answer: version, after: state => (state[at] === version ? [state] : [])};
    });
  }

  async #readByRest(at: number): Promise<Buffer | undefined> {
    const response = await this.#weir.restResponse('GET', `content?path=/${this.#bucket}/${names[at]}`);
    const bytes = Buffer.from(await response.arrayBuffer());
    if (response.status === 404) return undefined;
    if (response.status !== 200) throw new Error(`${response.status} ${bytes.toString()}`);
    return bytes;
  }

  async #readMounted(at: number): Promise<Buffer | undefined> {
    const file = await open(path.join(this.#box, names[at]!)).catch(ifMissing(undefined));
    if (!file) return undefined;
    try {
      return await file.readFile();
    } finally {
      await file.close();
    }
  }

  async #rename(from: number, to: number): Promise<Call> {
    return await this.#timed(`mount renames ${names[from]} to ${names[to]}`, async () => {
      const done = await rename(path.join(this.#box, names[from]!), path.join(this.#box, names[to]!)).then(() => true, ifMissing(false));
      return {answer: done, after: state => ((state[from] !== 0) === done ? [done ? withName(withName(state, to, state[from]!), from, 0) : state] : [])};
    });
  }

  async #remove(at: number, how: 'S3' | 'mount'): Promise<Call> {
    return await this.#timed(`${how} removes ${names[at]}`, async () => {
      const done = how === 'S3' ? await this.#s3.remove(this.#bucket, names[at]!) : await unlink(path.join(this.#box, names[at]!)).then(() => true, ifMissing(false));
      return {answer: done ?? 'done', after: state => (done === undefined || (state[at] !== 0) === done ? [withName(state, at, 0)] : [])};
    });
  }
}

/** What is read in place, and is replaced meanwhile, breaks off; or is refused, to be asked for again. */
function ifReplaced(error: unknown): 'replaced' {
  if (/terminated|503|aborted|socket hang up/.test(String(error))) return 'replaced';
  throw error;
}

function ifMissing<T>(value: T): (error: NodeJS.ErrnoException) => T {
  return error => {
    if (error.code !== 'ENOENT') throw error;
    return value;
  };
}

async function mounted<T>(work: (place: string) => Promise<T>): Promise<T> {
  const place = await mkdtemp(path.join(tmpdir(), 'weir-one-'));
  try {
    return await work(place);
  } finally {
    await promisify(execFile)('umount', ['-l', place]).catch(() => undefined);
    await rm(place, {recursive: true});
  }
}

const options = (writeType: WriteType, place: string) => ['--write-type', writeType, '--fuse', place];

for (const writeType of writeTypes) {
  it(`calls of all front ends have an order, in the home, written as ${writeType} (seed ${seed})`, {skip: unmountable() ?? false, timeout: runMs + 60_000}, async context => {
    await mounted(async place => {
      await using weir = await Weir.start({args: options(writeType, place)});
      await weir.s3.must('PUT', '/box');
      context.diagnostic(`${await new Play(weir, 'box', path.join(place, 'box')).run(Date.now() + runMs)} rounds`);
    });
  });

  it(`calls of all front ends have an order, over S3, written as ${writeType} (seed ${seed})`, {skip: unmountable() ?? false, timeout: runMs + 60_000}, async context => {
    await mounted(async place => {
      await using stack = await startStack('calls of all front ends at once', {args: options(writeType, place)});
      if (!stack) return context.skip('no S3 server');
      context.diagnostic(`${await new Play(stack.weir, stack.bucket, path.join(place, stack.bucket)).run(Date.now() + runMs)} rounds`);
    });
  });
}
