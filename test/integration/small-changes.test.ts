/** Small changes of large objects through the mount, on a real S3 server: what is read, what is sent, and what becomes of it when others change the object. */
import assert from 'node:assert/strict';
import {execFile, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdir, mkdtemp, open, readFile, rm, stat, truncate, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {test} from 'node:test';
import {promisify} from 'node:util';
import {unmountable} from '../conformance/posix/places.ts';
import {eventually, type Stack, startStack, Weir} from './harness.ts';
import {startLink} from '#runtime/node/link/link.ts';

const MiB = 1 << 20;
const run = promisify(execFile);

/** Every 64 KiB differ. */
function pattern(length: number, salt: number): Buffer {
  const bytes = Buffer.alloc(length, 'what was there before ');
  for (let at = 0; at + 8 <= length; at += 65_536) bytes.writeDoubleLE(at * 1000 + salt, at);
  return bytes;
}

interface Pending {
  readonly entries: readonly {readonly path: string; readonly state: string; readonly lastError?: string}[];
}

const pendingOf = async ({weir, bucket}: Stack): Promise<Pending['entries']> => (await weir.rest<Pending>('GET', `persist?path=/${bucket}/`)).entries;

async function change(file: string, position: number, bytes: Buffer): Promise<void> {
  await using handle = await open(file, 'r+');
  await handle.write(bytes, 0, bytes.length, position);
}

async function readAt(file: string, position: number, length: number): Promise<Buffer> {
  await using handle = await open(file, 'r');
  const {buffer, bytesRead} = await handle.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}

async function withMount(forWhat: string, use: (stack: Stack, directory: string, skip: () => Promise<void>) => Promise<void>, skip: (why: string) => void, mountOptions: readonly string[] = []): Promise<void> {
  const place = await mkdtemp(path.join(tmpdir(), 'weir-changes-'));
  try {
    await using stack = await startStack(forWhat, {mountOptions: ['maxAge=10m', ...mountOptions], args: ['--fuse', place]});
    if (!stack) return skip('no S3 server');
    try {
      await use(stack, path.join(place, stack.bucket), async () => undefined);
    } finally {
      stack.direct.close();
      await run('umount', ['-l', place]).catch(() => undefined);
    }
  } finally {
    await rm(place, {recursive: true, force: true});
  }
}

test('a small change of a large object reads and sends little, also one after the other and over kill -9', {skip: unmountable() ?? false, timeout: 300_000}, async (context) => {
  await withMount('small changes', async (stack, directory) => {
    const {weir, direct, bucket, link} = stack;
    let expected = pattern(256 * MiB, 1);
    await direct.must('PUT', `/${bucket}/large`, {body: expected});
    const file = path.join(directory, 'large');
    const settled = () => eventually('the store has it', async () => (await pendingOf(stack)).length === 0, 90_000);
    const check = async (what: string): Promise<void> => {
      assert.ok((await direct.get(bucket, 'large'))?.equals(expected), `${what}: the store has the very bytes`);
      assert.ok((await readFile(file)).equals(expected), `${what}: so has the mount`);
    };

    assert.equal((await stat(file)).size, expected.length);
    let before = {...link.counters};
    const word = Buffer.alloc(4096, 'changed ');
    await change(file, 100 * MiB + 123, word);
    word.copy(expected, 100 * MiB + 123);
    assert.ok((await readAt(file, 100 * MiB, 8192)).equals(expected.subarray(100 * MiB, 100 * MiB + 8192)), 'it is seen at once');
    assert.ok(link.counters.bytesDown - before.bytesDown < 4 * MiB, `${link.counters.bytesDown - before.bytesDown} bytes were read for it`);
    await settled();
    const [up, down] = [link.counters.bytesUp - before.bytesUp, link.counters.bytesDown - before.bytesDown];
    assert.ok(up < 20 * MiB && down < 20 * MiB, `${up} bytes were sent, ${down} read`);
    await check('4 KiB changed');

    // Longer, and shorter, and changed again while the change before is on its way.
    before = {...link.counters};
    await change(file, expected.length, Buffer.from('appended'));
    expected = Buffer.concat([expected, Buffer.from('appended')]);
    await change(file, 5, Buffer.from('begin'));
    expected.write('begin', 5);
    await settled();
    await truncate(file, 200 * MiB + 77);
    expected = expected.subarray(0, 200 * MiB + 77);
    await change(file, 201 * MiB, Buffer.from('behind a hole'));
    expected = Buffer.concat([expected, Buffer.alloc(MiB - 77), Buffer.from('behind a hole')]);
    await settled();
    assert.ok(link.counters.bytesUp - before.bytesUp < 80 * MiB, `${link.counters.bytesUp - before.bytesUp} bytes were sent`);
    await check('longer and shorter');

    // What was answered outlives the process, closed or not.
    // (Another process has it open: this one could not start Weir again.)
    const script = `import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
for line in sys.stdin:
    at, word = line.split()
    os.pwrite(fd, word.encode(), int(at))
    print('done', flush=True)
os.close(fd)`;
    const held = spawn('python3', ['-c', script, file], {stdio: ['pipe', 'pipe', 'inherit']});
    const write = async (position: number, word: string): Promise<void> => {
      held.stdin.write(`${position} ${word}\n`);
      await once(held.stdout, 'data');
      expected.write(word, position);
    };
    await write(150 * MiB, 'open');
    await change(file, 20 * MiB, Buffer.from('closed'));
    expected.write('closed', 20 * MiB);
    await write(180 * MiB, 'more');
    await weir.kill('SIGKILL');
    await weir.up();
    assert.ok((await readAt(file, 150 * MiB, 4096)).equals(expected.subarray(150 * MiB, 150 * MiB + 4096)));
    await write(10 * MiB, 'after');
    held.stdin.end();
    await once(held, 'exit');
    await settled();
    await check('over kill -9');

    // Who has it open goes on with it when another takes its name.
    await using old = await open(file, 'r+');
    await old.write(Buffer.from('old'), 0, 3, 30 * MiB);
    expected.write('old', 30 * MiB);
    await run('sh', ['-c', 'echo new > next && mv next large'], {cwd: directory});
    const seen = await old.read(Buffer.alloc(2 * MiB), 0, 2 * MiB, 29 * MiB);
    assert.ok(seen.buffer.subarray(0, seen.bytesRead).equals(expected.subarray(29 * MiB, 31 * MiB)));
    await old.close();
    assert.equal((await readFile(file)).toString(), 'new\n');
  }, (why) => context.skip(why));
});

test('an object that others replace while a small change of it waits is a conflict, which keeps what was written', {skip: unmountable() ?? false, timeout: 180_000}, async (context) => {
  await withMount('a change in conflict', async (stack, directory) => {
    const {weir, direct, bucket, store} = stack;
    const before = pattern(64 * MiB, 1);
    await direct.must('PUT', `/${bucket}/large`, {body: before});
    const file = path.join(directory, 'large');
    const page = await readAt(file, 40 * MiB, 65_536);
    const listen = stack.link.address;
    await change(file, 40 * MiB + 10, Buffer.from('mine'));
    await stack.link[Symbol.asyncDispose]();
    const theirs = pattern(64 * MiB, 2);
    await direct.must('PUT', `/${bucket}/large`, {body: theirs});
    await using _back = await startLink({target: {host: '127.0.0.1', port: store.port}, rttMs: 2, bytesPerSecond: 500e6, listen});
    await eventually('it is in conflict', async () => (await pendingOf(stack))[0]?.state === 'conflict', 90_000);
    assert.ok((await direct.get(bucket, 'large'))?.equals(theirs), 'theirs was not overwritten');
    page.write('mine', 10);
    assert.ok((await readAt(file, 40 * MiB, 65_536)).equals(page), 'what was written is there');
    await assert.rejects(readAt(file, 0, 4096), /ESTALE|-116/, 'what was not is gone, and nothing else is shown for it');
    // There is nothing that it could be made of.
    await weir.rest('POST', 'persist', {path: `/${bucket}/large`, resolve: 'overwrite'});
    await eventually('it is in conflict again', async () => {
      const [entry] = await pendingOf(stack);
      return entry?.state === 'conflict' && /gone from the store/.test(entry.lastError ?? '');
    }, 90_000);
    assert.ok((await direct.get(bucket, 'large'))?.equals(theirs));
    await weir.rest('POST', 'persist', {path: `/${bucket}/large`, resolve: 'discard'});
    await eventually('theirs is shown', async () => (await weir.s3.get(bucket, 'large'))?.equals(theirs) === true);
  }, (why) => context.skip(why));
});

for (const versioned of [false, true]) {
  const how = versioned ? 'versions kept' : 'CACHE_THROUGH';
  test(`a small change of a large object is in its store at the close, and the cache keeps what it had (${how})`, {skip: unmountable() ?? false, timeout: 180_000}, async (context) => {
    await withMount('small changes by way of the store', async (stack, directory) => {
      const {weir, direct, bucket, link} = stack;
      const expected = pattern(96 * MiB, 1);
      await direct.must('PUT', `/${bucket}/large`, {body: expected});
      if (versioned) await weir.s3.must('PUT', `/${bucket}`, {query: 'versioning=', body: Buffer.from('<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>')});
      const file = path.join(directory, 'large');
      assert.ok((await readFile(file)).equals(expected), 'all of it is cached');
      for (const position of [40 * MiB + 123, 40 * MiB + 4321, 90 * MiB]) {
        const before = {...link.counters};
        const word = Buffer.alloc(4096, `changed at ${position} `);
        await change(file, position, word);
        word.copy(expected, position);
        const [up, down] = [link.counters.bytesUp - before.bytesUp, link.counters.bytesDown - before.bytesDown];
        assert.ok(up < 12 * MiB && down < 12 * MiB, `${up} bytes were sent, ${down} read`);
        assert.ok((await direct.get(bucket, 'large'))?.equals(expected), 'the store has it when the close returns');
        const {bytesDown} = link.counters;
        assert.ok((await readFile(file)).equals(expected));
        assert.ok(link.counters.bytesDown - bytesDown < 2 * MiB, `${link.counters.bytesDown - bytesDown} bytes were fetched again`);
      }
      // Somebody else was faster: the close says so, and nothing is overwritten.
      await using handle = await open(file, 'r+');
      await handle.write(Buffer.from('mine'), 0, 4, 5);
      const theirs = pattern(96 * MiB, 2);
      await direct.must('PUT', `/${bucket}/large`, {body: theirs});
      await assert.rejects(handle.close(), /ESTALE|-116/);
      assert.ok((await direct.get(bucket, 'large'))?.equals(theirs));
    }, (why) => context.skip(why), ['writeType=CACHE_THROUGH']);
  });
}

test('a small change of a large file in a directory is there at the close (CACHE_THROUGH)', {skip: unmountable() ?? false, timeout: 120_000}, async () => {
  const root = await mkdtemp(path.join(tmpdir(), 'weir-changes-'));
  const [place, store] = [path.join(root, 'mnt'), path.join(root, 'store')];
  for (const each of [place, store]) await mkdir(each);
  const expected = pattern(40 * MiB + 77, 1);
  await writeFile(path.join(store, 'large'), expected, {mode: 0o640});
  try {
    await using _weir = await Weir.start({args: ['--fuse', place, `file://${store}=/store`, '-o', 'writeType=CACHE_THROUGH']});
    const file = path.join(place, 'store', 'large');
    const check = async (what: string): Promise<void> => {
      assert.ok((await readFile(path.join(store, 'large'))).equals(expected), `${what}: in the directory`);
      assert.ok((await readFile(file)).equals(expected), `${what}: on the mount`);
    };
    for (const position of [20 * MiB + 5, 20 * MiB + 9, 3]) {
      await change(file, position, Buffer.from(`at ${position}`));
      expected.write(`at ${position}`, position);
      await check(`changed at ${position}`);
      assert.equal((await stat(path.join(store, 'large'))).mode & 0o777, 0o640);
    }
    // Who has it open goes on with it when another takes its name.
    await using old = await open(file, 'r+');
    await old.write(Buffer.from('old'), 0, 3, 30 * MiB);
    await run('sh', ['-c', 'cp large next && mv next large'], {cwd: path.join(place, 'store')});
    const seen = await old.read(Buffer.alloc(2 * MiB), 0, 2 * MiB, 29 * MiB);
    expected.write('old', 30 * MiB);
    assert.ok(seen.buffer.equals(expected.subarray(29 * MiB, 31 * MiB)));
    await old.close();
    await check('replaced');
    // Somebody else has changed it there since it was opened.
    await using handle = await open(file, 'r+');
    await handle.write(Buffer.from('mine'), 0, 4, MiB);
    expected.write('theirs', 30 * MiB);
    await writeFile(path.join(store, 'large'), expected);
    await assert.rejects(handle.close(), /ESTALE|-116/);
    assert.ok((await readFile(path.join(store, 'large'))).equals(expected), 'it was not overwritten');
  } finally {
    await run('umount', ['-l', place]).catch(() => undefined);
    await rm(root, {recursive: true, force: true});
  }
});
