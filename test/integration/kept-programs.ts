/**
 * A program on a mount whose daemon comes and goes: a process of its own. (Whoever starts the daemon must have nothing open there: what a
 * child inherits is closed, and so flushed, before the child runs; it would wait for itself.) Steps are asked for by name, one by one.
 */
import assert from 'node:assert/strict';
import {type Dir} from 'node:fs';
import {type FileHandle, open, opendir, rename, rmdir, stat, mkdir, unlink, writeFile} from 'node:fs/promises';
import path from 'node:path';

const directory = process.argv[2]!;
const at = (...names: string[]): string => path.join(directory, ...names);
const files = new Map<string, FileHandle>();
let reading: Dir;
const names: string[] = [];

const textOf = async (name: string): Promise<string> => {
  const {bytesRead, buffer} = await files.get(name)!.read(Buffer.alloc(100), 0, 100, 0);
  return buffer.toString('utf8', 0, bytesRead);
};

const steps: Readonly<Record<string, () => Promise<void>>> = {
  async open() {
    await writeFile(at('read'), 'to be read');
    for (const [name, flags] of [['written', 'w+'], ['nameless', 'w+'], ['empty', 'w+'], ['read', 'r']] as const) files.set(name, await open(at(name), flags));
    await files.get('written')!.write('before');
    await files.get('written')!.utimes(1e9, 1e9);
    await files.get('nameless')!.write('nobody else reads this');
    for (const name of ['nameless', 'empty']) await unlink(at(name));
    reading = await opendir(at('many'), {bufferSize: 1});
    for (let i = 0; i < 2; i++) names.push((await reading.read())!.name);
  },
  /** Waits in the kernel for the next daemon. */
  async meanwhile() {
    await Promise.all([stat(at('read')), mkdir(at('made-meanwhile'))]);
  },
  async goOn() {
    assert.equal((await files.get('written')!.stat()).mtimeMs, 1e12, 'a time given by hand stays');
    await files.get('written')!.write(' and after', 6);
    assert.equal(await textOf('written'), 'before and after');
    assert.equal((await files.get('nameless')!.stat()).nlink, 0);
    await files.get('nameless')!.write('!', 22);
    assert.equal(await textOf('nameless'), 'nobody else reads this!');
    assert.equal((await files.get('empty')!.stat()).size, 0);
    await writeFile(at('new'), 'over read');
    await rename(at('new'), at('read'));
    assert.equal(await textOf('read'), 'to be read', 'what was open is the file that was opened');
    // Those that were listed go while the rest is read: rm -r does so.
    for (const each of names) await unlink(at('many', each));
    for (let entry = await reading.read(); entry; entry = await reading.read()) names.push(entry.name);
    assert.deepEqual([names.length, new Set(names).size], [700, 700]);
    for (const file of files.values()) await file.close();
    await assert.rejects(mkdir(at('made-meanwhile')), {code: 'EEXIST'});
  },
  async prepare() {
    for (const name of ['from', 'unlinked']) await writeFile(at(name), '');
    await mkdir(at('removed'));
  },
  rename: () => rename(at('from'), at('to')),
  unlink: () => unlink(at('unlinked')),
  rmdir: () => rmdir(at('removed')),
  async gone() {
    await assert.rejects(files.get('written')!.sync(), error => ['ENOTCONN', 'ECONNABORTED'].includes((error as NodeJS.ErrnoException).code ?? ''));
  },
};

process.on('message', (step: string) => {
  steps[step]!().then(() => process.send!({done: true}), (error: Error) => process.send!({failed: error.stack}));
});
