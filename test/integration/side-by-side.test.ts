/**
 * Random operations on the mount and on a directory of this machine's disk, side by side: answers, error numbers, bytes and trees must be the
 * same. What differs is shrunk to the shortest sequence that shows it. WEIR_TEST_RUNS plays more of them, WEIR_TEST_SEED others.
 */
import assert from 'node:assert/strict';
import {execFile} from 'node:child_process';
import {chmod, type FileHandle, link, lstat, mkdir, mkdtemp, open, readdir, readFile, readlink, rename, rm, rmdir, stat, symlink, truncate, unlink, utimes} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {after, before, describe, it} from 'node:test';
import {promisify} from 'node:util';
import fc from 'fast-check';
import {writeTypes} from '#model/mount.ts';
import {unmountable} from '../conformance/posix/places.ts';
import {Weir} from './harness.ts';

const runs = Number(process.env['WEIR_TEST_RUNS'] ?? 40);
const seed = Number(process.env['WEIR_TEST_SEED'] ?? 1);
const operationsMax = 60;

/** One side: a directory, and files that are open in it, by slot. */
class Side {
  readonly root: string;
  readonly files = new Map<number, FileHandle>();

  constructor(root: string) {
    this.root = root;
  }

  at(name: string): string {
    return path.join(this.root, name);
  }

  file(slot: number): FileHandle {
    const file = this.files.get(slot);
    if (!file) throw Object.assign(new Error('no file there'), {code: 'none'});
    return file;
  }

  async put(slot: number, file: FileHandle): Promise<void> {
    await this.files.get(slot)?.close();
    this.files.set(slot, file);
  }

  async close(): Promise<void> {
    for (const file of this.files.values()) await file.close();
    this.files.clear();
  }
}

/** What a program can see of a file, but for what no two file systems have alike. */
async function seen(name: string): Promise<unknown> {
  const found = await lstat(name);
  const common = {mode: found.mode, links: found.nlink, uid: found.uid, gid: found.gid};
  if (found.isSymbolicLink()) return {...common, target: await readlink(name)};
  return found.isDirectory() ? common : {...common, size: found.size};
}

async function tree(name: string, depth = 0): Promise<unknown> {
  const found = await lstat(name);
  if (found.isDirectory()) {
    const names = (await readdir(name)).toSorted();
    return [depth > 0 && (await seen(name)), await Promise.all(names.map(async each => [each, await tree(path.join(name, each), depth + 1)]))];
  }
  return found.isFile() ? [await seen(name), (await readFile(name)).toString('base64')] : await seen(name);
}

interface Operation {
  readonly text: string;
  readonly run: (side: Side) => Promise<unknown>;
}

const operation = (text: string, run: (side: Side) => Promise<unknown>): Operation => ({text, run, toString: () => text}) as Operation;

const leaf = fc.constantFrom('a', 'b', 'c');
const name = fc.oneof({weight: 3, arbitrary: leaf}, {weight: 2, arbitrary: fc.tuple(leaf, leaf).map(parts => parts.join('/'))}, {weight: 1, arbitrary: fc.tuple(leaf, leaf, leaf).map(parts => parts.join('/'))});
const slot = fc.nat(2);
const position = fc.oneof(fc.nat(20), fc.nat(10_000), fc.nat(400_000));
const count = fc.oneof(fc.nat(20), fc.nat(10_000), fc.nat(140_000));
const mode = fc.constantFrom(0o600, 0o644, 0o755, 0o4711, 0o2750, 0o1777, 0o000);
const flags = fc.constantFrom('r', 'r+', 'w', 'w+', 'wx', 'wx+', 'a', 'a+', 'ax');

const operations: fc.Arbitrary<Operation> = fc.oneof(
  {weight: 6, arbitrary: fc.tuple(slot, name, flags).map(([at, of, how]) => operation(`open ${at} ${of} ${how}`, async side => side.put(at, await open(side.at(of), how))))},
  {weight: 2, arbitrary: slot.map(at => operation(`close ${at}`, async side => {
    const file = side.file(at);
    side.files.delete(at);
    await file.close();
  }))},
  {weight: 6, arbitrary: fc.tuple(slot, position, count, fc.nat(255)).map(([at, from, length, byte]) => operation(`write ${at} ${from} ${length} ${byte}`, async side =>
    (await side.file(at).write(Buffer.alloc(length, byte), 0, length, from)).bytesWritten))},
  {weight: 2, arbitrary: fc.tuple(slot, count, fc.nat(255)).map(([at, length, byte]) => operation(`append ${at} ${length} ${byte}`, async side => (await side.file(at).write(Buffer.alloc(length, byte))).bytesWritten))},
  {weight: 5, arbitrary: fc.tuple(slot, position, count).map(([at, from, length]) => operation(`read ${at} ${from} ${length}`, async side => {
    const {bytesRead, buffer} = await side.file(at).read(Buffer.alloc(length), 0, length, from);
    return buffer.subarray(0, bytesRead).toString('base64');
  }))},
  {weight: 2, arbitrary: fc.tuple(slot, position).map(([at, length]) => operation(`ftruncate ${at} ${length}`, side => side.file(at).truncate(length)))},
  {weight: 1, arbitrary: slot.map(at => operation(`fsync ${at}`, side => side.file(at).sync()))},
  {weight: 1, arbitrary: slot.map(at => operation(`fstat ${at}`, async side => {
    const {size, nlink, mode: bits} = await side.file(at).stat();
    return [size, nlink, bits];
  }))},
  {weight: 1, arbitrary: fc.tuple(slot, mode).map(([at, bits]) => operation(`fchmod ${at} ${bits.toString(8)}`, side => side.file(at).chmod(bits)))},
  {weight: 4, arbitrary: name.map(of => operation(`mkdir ${of}`, side => mkdir(side.at(of))))},
  {weight: 2, arbitrary: name.map(of => operation(`rmdir ${of}`, side => rmdir(side.at(of))))},
  {weight: 3, arbitrary: name.map(of => operation(`unlink ${of}`, side => unlink(side.at(of))))},
  {weight: 5, arbitrary: fc.tuple(name, name).map(([from, to]) => operation(`rename ${from} ${to}`, side => rename(side.at(from), side.at(to))))},
  {weight: 3, arbitrary: fc.tuple(name, name).map(([from, to]) => operation(`link ${from} ${to}`, side => link(side.at(from), side.at(to))))},
  {weight: 2, arbitrary: fc.tuple(leaf, name).map(([target, of]) => operation(`symlink ${target} ${of}`, side => symlink(target, side.at(of))))},
  {weight: 2, arbitrary: fc.tuple(name, position).map(([of, length]) => operation(`truncate ${of} ${length}`, side => truncate(side.at(of), length)))},
  {weight: 2, arbitrary: fc.tuple(name, mode).map(([of, bits]) => operation(`chmod ${of} ${bits.toString(8)}`, side => chmod(side.at(of), bits)))},
  {weight: 1, arbitrary: fc.tuple(name, fc.nat(2_000_000_000)).map(([of, at]) => operation(`utimes ${of} ${at}`, async side => {
    await utimes(side.at(of), at, at);
    return (await stat(side.at(of))).mtimeMs;
  }))},
  {weight: 3, arbitrary: name.map(of => operation(`lstat ${of}`, side => seen(side.at(of))))},
  {weight: 2, arbitrary: name.map(of => operation(`readdir ${of}`, async side => (await readdir(side.at(of))).toSorted()))},
  {weight: 2, arbitrary: name.map(of => operation(`cat ${of}`, async side => (await readFile(side.at(of))).toString('base64')))},
);

async function answer({run}: Operation, side: Side): Promise<unknown> {
  try {
    return {answer: await run(side)};
  } catch (error) {
    const {code, errno} = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return {code, errno};
  }
}

for (const writeType of writeTypes) describe(`the mount beside a disk, written as ${writeType}`, {skip: unmountable() ?? false}, () => {
  let place: string;
  let disk: string;
  let weir: Weir;
  let played = 0;

  before(async () => {
    place = await mkdtemp(path.join(tmpdir(), 'weir-mount-'));
    disk = await mkdtemp(path.join(tmpdir(), 'weir-beside-'));
    weir = await Weir.start({args: ['--write-type', writeType, '--fuse', place]});
    await weir.s3.must('PUT', '/box');
  });

  after(async () => {
    await weir.kill('SIGTERM');
    await promisify(execFile)('umount', ['-l', place]).catch(() => undefined);
    await weir[Symbol.asyncDispose]();
    for (const directory of [place, disk]) await rm(directory, {recursive: true});
  });

  async function play(sequence: readonly Operation[]): Promise<void> {
    const directory = `${++played}`;
    const [ours, theirs] = [new Side(path.join(place, 'box', directory)), new Side(path.join(disk, directory))];
    for (const {root} of [ours, theirs]) await mkdir(root);
    try {
      for (const [i, each] of sequence.entries()) assert.deepEqual(await answer(each, ours), await answer(each, theirs), `step ${i + 1}: ${each.text}`);
      assert.deepEqual(await tree(ours.root), await tree(theirs.root), 'the trees, files still open');
    } finally {
      for (const side of [ours, theirs]) await side.close();
    }
    assert.deepEqual(await tree(ours.root), await tree(theirs.root), 'the trees');
    for (const {root} of [ours, theirs]) await rm(root, {recursive: true});
  }

  it('answers as the disk does', async () => {
    await fc.assert(fc.asyncProperty(fc.array(operations, {maxLength: operationsMax, size: 'max'}), play), {numRuns: runs, seed});
  });
});
