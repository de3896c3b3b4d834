/** Several mounts of one instance that write one file: served by the instance, and by a process of its own. Needs root and /dev/fuse. */
import assert from 'node:assert/strict';
import {execFile} from 'node:child_process';
import {mkdir, mkdtemp, open, readFile, rm, stat, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {after, before, describe, it} from 'node:test';
import {promisify} from 'node:util';
import {unmountable} from '../conformance/posix/places.ts';
import {eventually, Weir} from './harness.ts';
import {OwnMount} from './own-mount.ts';

const run = promisify(execFile);

const append = `
import fcntl, os, sys
name, who = sys.argv[1:3]
f = os.open(name, os.O_RDWR | os.O_APPEND)
for i in range(60):
    fcntl.flock(f, fcntl.LOCK_EX)
    line = ('%s %d ' % (who, i)).encode().ljust(40 + i, b'.') + b'\\n'
    os.write(f, line)
    size = os.fstat(f).st_size
    assert os.pread(f, len(line), size - len(line)) == line, (size, os.pread(f, 200, size - 200))
    fcntl.flock(f, fcntl.LOCK_UN)
`;

const makeCounter = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute('create table counter (n)')
db.execute('create table lines (n, text)')
db.execute('insert into counter values (0)')
db.commit()
`;

const readCounter = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(*(db.execute(question).fetchone()[0] for question in ('pragma integrity_check', 'select n from counter', 'select count(distinct n) from lines')))
`;

const count = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
for _ in range(25):
    db.execute('begin immediate')
    n = db.execute('select n from counter').fetchone()[0]
    db.execute('update counter set n = ?', (n + 1,))
    db.execute('insert into lines values (?, ?)', (n + 1, 'x' * 300))
    db.execute('commit')
`;

const strided = `
import os, sys
name, first, step, size, rounds = sys.argv[1], *map(int, sys.argv[2:])
f = os.open(name, os.O_RDWR)
for i in range(rounds):
    os.pwrite(f, bytes([65 + first]) * size, (first + i * step) * size)
    # Where others write the same page at once, without a lock, it may be read late.
    assert size < 4096 or os.pread(f, size, (first + i * step) * size) == bytes([65 + first]) * size
os.close(f)
`;

/** Who serves the second mount, and what is killed under both. */
const kinds = [
  {kind: 'by the instance', start: (weir: Weir, ...options: readonly string[]) => OwnMount.served(weir, ...options), die: async (weir: Weir) => await weir.restart()},
  {
    kind: 'by a process of its own', start: (weir: Weir, ...options: readonly string[]) => OwnMount.start(weir, ...options),
    die: async (_: Weir, own: OwnMount) => {
      await own.end();
      await own.up();
    },
  },
] as const;

for (const {kind, start, die} of kinds) describe(`two mounts that write one file, the second served ${kind}`, {skip: unmountable() ?? false}, () => {
  let [weir, own, place]: [Weir | undefined, OwnMount | undefined, string] = [undefined, undefined, ''];
  const both = (name: string): readonly [string, string] => [path.join(place, 'box', name), own!.at(name)];

  const linesOf = async (name: string): Promise<readonly string[]> => String(await readFile(name)).trimEnd().split('\n').map((line) => line.split(' ').slice(0, 2).join(' '));

  before(async () => {
    place = await mkdtemp(path.join(tmpdir(), 'weir-mount-'));
    weir = await Weir.start({args: ['--fuse', place, '--fuse-options', 'shared_locks']});
    await mkdir(path.join(place, 'box'));
    own = await start(weir, '-o', 'shared_locks');
  });

  after(async () => {
    await own?.[Symbol.asyncDispose]();
    await weir?.kill('SIGTERM');
    await run('umount', ['-l', place]).catch(() => undefined);
    await weir?.[Symbol.asyncDispose]();
    await rm(place, {recursive: true});
  });

  it('what one writes who has it open on the other reads at once, and goes on when the first closes', async () => {
    for (const [number, [writer, reader]] of [both('seen-1'), both('seen-2').toReversed() as [string, string]].entries()) {
      await writeFile(writer!, 'before');
      const there = await open(reader!, 'r+');
      assert.equal(String(await there.readFile()), 'before');
      const here = await open(writer!, 'r+');
      await here.write('BEF', 0);
      assert.equal(String((await there.read(Buffer.alloc(20), 0, 20, 0)).buffer.subarray(0, 6)), 'BEFore', `${number}`);
      await here.write(' and after', 6);
      assert.equal((await there.stat()).size, 16);
      assert.equal(String(await readFile(reader!)), 'BEFore and after');
      await there.write('AND', 7);
      assert.equal(String(await readFile(writer!)), 'BEFore AND after');
      await here.truncate(10);
      assert.equal(String(await readFile(reader!)), 'BEFore AND');
      await here.close();
      assert.equal(String(await weir!.s3.get('box', `seen-${number + 1}`)), 'BEFore AND');
      await there.write('!', 10);
      assert.equal(String(await readFile(writer!)), 'BEFore AND!');
      await there.close();
      assert.equal(String(await weir!.s3.get('box', `seen-${number + 1}`)), 'BEFore AND!');
      assert.equal((await stat(writer!)).size, 11);
    }
  });

  it('appends under flock: every line is there once', async () => {
    const names = both('log');
    await writeFile(names[0], '');
    await Promise.all([0, 1, 2, 3].map((i) => run('python3', ['-c', append, names[i % 2]!, `writer-${i}`], {timeout: 60_000})));
    for (const name of names) {
      const lines = await linesOf(name);
      assert.equal(lines.length, 240);
      assert.equal(new Set(lines).size, 240);
    }
  });

  it('sqlite counts', async () => {
    const names = both('counted.db');
    await run('python3', ['-c', makeCounter, names[0]]);
    await Promise.all([0, 1, 2, 3].map((i) => run('python3', ['-c', count, names[i % 2]!], {timeout: 120_000})));
    for (const name of names) {
      const {stdout} = await run('python3', ['-c', readCounter, name]);
      assert.equal(stdout, 'ok 100 100\n');
    }
  });

  for (const [size, rounds] of [[100, 200], [4096, 60], [70_000, 20]] as const) {
    it(`ranges of ${size} bytes, between each other`, async () => {
      const names = both(`ranges-${size}`);
      await writeFile(names[0], '');
      await Promise.all([0, 1, 2, 3].map((i) => run('python3', ['-c', strided, names[i % 2]!, `${i}`, '4', `${size}`, `${rounds}`], {timeout: 60_000})));
      const wanted = Buffer.concat(Array.from({length: rounds}, () => [0, 1, 2, 3].map((i) => Buffer.alloc(size, 65 + i))).flat());
      for (const name of names) assert.ok((await readFile(name)).equals(wanted), name);
      assert.ok((await weir!.s3.get('box', `ranges-${size}`))!.equals(wanted));
    });
  }

  it('appends while what serves them dies', async () => {
    const names = both('survivors');
    await writeFile(names[0], '');
    const writers = [0, 1, 2, 3].map((i) => run('python3', ['-c', append, names[i % 2]!, `writer-${i}`], {timeout: 90_000}));
    for (const lines of [40, 120]) {
      await eventually('some are there', async () => (await linesOf(names[0])).length > lines);
      await die(weir!, own!);
    }
    await Promise.all(writers);
    for (const name of names) {
      const lines = await linesOf(name);
      assert.equal(lines.length, 240);
      assert.equal(new Set(lines).size, 240);
    }
  });

  it('no line of the log is an error', () => {
    assert.equal(weir!.log.includes('ERROR'), false, weir!.log);
  });
});
