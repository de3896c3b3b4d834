/** The mount: an instance's namespace through the kernel, with ordinary system calls. Needs root and /dev/fuse. */
import assert from 'node:assert/strict';
import {execFile, spawn} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {once} from 'node:events';
import {appendFile, chmod, chown, type FileHandle, link, lstat, mkdir, mkdtemp, open, readdir, readFile, rename, rm, rmdir, stat, statfs, symlink, truncate, unlink, utimes, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {after, before, describe, it} from 'node:test';
import {promisify} from 'node:util';
import {writeTypes} from '#model/mount.ts';
import {unmountable} from '../conformance/posix/places.ts';
import {eventually, keeperOf, kernelRequests, Weir} from './harness.ts';

const run = promisify(execFile);
const main = path.resolve(import.meta.dirname, '../../src/process/main.ts');

const code = (name: string) => (error: unknown) => (error as NodeJS.ErrnoException).code === name;

/** Node has no name for EDQUOT. */
const overQuota = (error: unknown) => (error as NodeJS.ErrnoException).errno === -122;

/** Beside a buffer in memory; every read, and the length after every step, must agree. */
async function randomOperations(directory: string, seed: number, steps: number): Promise<void> {
  const lengthMax = 300_000;
  let state = seed;
  const below = (limit: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  let name = path.join(directory, `random-${seed}`);
  let file: FileHandle = await open(name, 'w+');
  let model: Buffer = Buffer.alloc(0);
  const sized = (length: number): Buffer => Buffer.concat([model.subarray(0, length), Buffer.alloc(Math.max(0, length - model.length))]);
  try {
    for (let step = 0; step < steps; step++) {
      const choice = below(100);
      const [position, length] = [below(lengthMax), 1 + below(20_000)];
      if (choice < 45) {
        const bytes = Buffer.alloc(length, `${seed}.${step} `);
        await file.write(bytes, 0, length, position);
        model = sized(Math.max(model.length, position + length));
        bytes.copy(model, position);
      } else if (choice < 90) {
        const {bytesRead, buffer} = await file.read(Buffer.alloc(length), 0, length, position);
        assert.ok(buffer.subarray(0, bytesRead).equals(model.subarray(position, position + length)), `seed ${seed}, step ${step}: ${length} bytes at ${position}`);
      } else if (choice < 95) {
        await file.truncate(position);
        model = sized(position);
      } else if (choice < 97) await file.sync();
      else if (choice < 99) {
        await file.close();
        file = await open(name, 'r+');
      } else {
        const next = path.join(directory, `random-${seed}-${step}`);
        await rename(name, next);
        name = next;
      }
      assert.equal((await file.stat()).size, model.length, `seed ${seed}, step ${step}`);
    }
  } finally {
    await file.close();
  }
  assert.ok((await readFile(name)).equals(model), `seed ${seed}, at the end`);
  await unlink(name);
}

for (const writeType of writeTypes) describe(`the mount, written as ${writeType}`, {skip: unmountable() ?? false}, () => {
  const big = randomBytes(3 * 1024 * 1024 + 17);
  let place: string;
  let weir: Weir;
  const at = (...names: string[]): string => path.join(place, ...names);
  const put = async (key: string, body: string | Buffer): Promise<void> => void (await weir.s3.put('box', key, Buffer.from(body)));

  before(async () => {
    place = await mkdtemp(path.join(tmpdir(), 'weir-mount-'));
    weir = await Weir.start({args: ['--write-type', writeType, '--fuse', place]});
    await weir.s3.must('PUT', '/box');
    await put('dir/big', big);
    await put('dir/small', 'small');
  });

  after(async () => {
    await weir.kill('SIGTERM');
    await run('umount', ['-l', place]).catch(() => undefined);
    await weir[Symbol.asyncDispose]();
    await rm(place, {recursive: true});
  });

  it('shows what S3 has, and reads it whole and in pieces', async () => {
    assert.deepEqual(await readdir(at('box', 'dir')), ['big', 'small']);
    const {size, mode} = await stat(at('box', 'dir', 'big'));
    assert.deepEqual([size, mode], [big.length, 0o100644]);
    assert.ok((await readFile(at('box', 'dir', 'big'))).equals(big));
    assert.ok((await readFile(at('box', 'dir', 'big'))).equals(big), 'again, from the cache');
    assert.equal(await readFile(at('box', 'dir', 'small'), 'utf8'), 'small');
    await using file = await open(at('box', 'dir', 'big'));
    for (const [position, length] of [[0, 1], [65_535, 2], [1_000_003, 70_000], [big.length - 5, 100]] as const) {
      const {bytesRead, buffer} = await file.read(Buffer.alloc(length), 0, length, position);
      assert.ok(buffer.subarray(0, bytesRead).equals(big.subarray(position, position + length)), `at ${position}`);
    }
  });

  it('says what is not there', async () => {
    await assert.rejects(stat(at('none')), code('ENOENT'));
    await assert.rejects(readdir(at('box', 'dir', 'small')), code('ENOTDIR'));
    await assert.rejects(readFile(at('box', 'dir')), code('EISDIR'));
    await assert.rejects(stat(at('box', 'x'.repeat(256))), code('ENAMETOOLONG'));
  });

  it('writes files that S3 has when they are closed, and changes their names', async () => {
    await mkdir(at('box', 'made'));
    await writeFile(at('box', 'made', 'a'), big);
    assert.ok((await weir.s3.get('box', 'made/a'))?.equals(big));
    await appendFile(at('box', 'made', 'a'), 'more');
    assert.ok((await weir.s3.get('box', 'made/a'))?.equals(Buffer.concat([big, Buffer.from('more')])));
    await truncate(at('box', 'made', 'a'), 5);
    assert.ok((await weir.s3.get('box', 'made/a'))?.equals(big.subarray(0, 5)));
    await rename(at('box', 'made', 'a'), at('box', 'made', 'b'));
    await symlink('b', at('box', 'made', 'link'));
    assert.ok((await readFile(at('box', 'made', 'link'))).equals(big.subarray(0, 5)));
    await chmod(at('box', 'made', 'b'), 0o600);
    await utimes(at('box', 'made', 'b'), 1e9, 1e9);
    const {mode, mtimeMs, uid} = await stat(at('box', 'made', 'b'));
    assert.deepEqual([mode & 0o7777, mtimeMs, uid], [0o600, 1e12, 0]);
    await assert.rejects(open(at('box', 'made', 'b'), 'wx'), code('EEXIST'));
    await assert.rejects(rmdir(at('box', 'made')), code('ENOTEMPTY'));
    await assert.rejects(rename(at('box', 'made', 'b'), at('box', 'dir')), code('EISDIR'));
    await unlink(at('box', 'made', 'link'));
    await link(at('box', 'made', 'b'), at('box', 'made', 'second'));
    await appendFile(at('box', 'made', 'second'), '+');
    assert.deepEqual([(await stat(at('box', 'made', 'b'))).nlink, (await stat(at('box', 'made', 'b'))).size], [2, 6]);
    await unlink(at('box', 'made', 'second'));
    assert.equal((await stat(at('box', 'made', 'b'))).nlink, 1);
    await unlink(at('box', 'made', 'b'));
    await rmdir(at('box', 'made'));
    assert.deepEqual(await weir.s3.keys('box', 'made'), []);
  });

  it('makes files in the directory that was asked, while directories change places', async () => {
    const [one, two, between] = ['one', 'two', 'between'].map(name => at('box', name)) as [string, string, string];
    await mkdir(one);
    await mkdir(two);
    await using directory = await open(one);
    // What the descriptor names stays the same directory, whatever it is called.
    const held = `/proc/self/fd/${directory.fd}`;
    let swapping = true;
    const swaps = (async () => {
      while (swapping) for (const [from, to] of [[one, between], [two, one], [between, two]] as const) await rename(from, to);
    })();
    const names = Array.from({length: 60}, (_, i) => `file-${i}`);
    for (const name of names) await writeFile(path.join(held, name), name);
    swapping = false;
    await swaps;
    assert.deepEqual((await readdir(held)).sort(), [...names].sort());
    for (const name of names) assert.equal(await readFile(path.join(held, name), 'utf8'), name);
    const {uid, gid} = await stat(held);
    assert.deepEqual([uid, gid], [0, 0]);
    await rm(one, {recursive: true});
    await rm(two, {recursive: true});
  });

  it('gives what is made to who made it, and to the group of a set-group-id directory', async () => {
    const shared = at('box', 'shared');
    await mkdir(shared);
    await chmod(shared, 0o2777);
    await chown(shared, 0, 4321);
    await run('touch', [path.join(shared, 'file')], {uid: 1234, gid: 1234});
    await run('mkdir', [path.join(shared, 'directory')], {uid: 1234, gid: 1234});
    await run('ln', ['-s', 'file', path.join(shared, 'link')], {uid: 1234, gid: 1234});
    const of = async (name: string) => {
      const {uid, gid, mode} = await lstat(path.join(shared, name));
      return [uid, gid, mode & 0o7000];
    };
    assert.deepEqual(await of('file'), [1234, 4321, 0]);
    assert.deepEqual(await of('directory'), [1234, 4321, 0o2000]);
    assert.deepEqual(await of('link'), [1234, 4321, 0]);
  });

  it('allocates, punches, seeks and copies ranges', async () => {
    // What Node has no call for; the kernel's numbers for whence are in the module.
    const script = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
def fallocate(mode, offset, length):
    if libc.fallocate(fd, mode, offset, length) != 0: raise OSError(ctypes.get_errno(), 'fallocate')
os.chdir(sys.argv[1])
fd = os.open('ranges', os.O_RDWR | os.O_CREAT)
fallocate(0, 0, 1000000)
assert os.fstat(fd).st_size == 1000000
os.pwrite(fd, b'x' * 300000, 262144)
fallocate(1, 0, 2000000)
assert os.fstat(fd).st_size == 1000000, 'keeps its size'
assert os.lseek(fd, 0, os.SEEK_DATA) == 262144
fallocate(3, 300000, 1000)
assert os.pread(fd, 1002, 299999) == b'x' + bytes(1000) + b'x'
fallocate(0x10, 1000000 - 10, 20)
assert os.fstat(fd).st_size == 1000010
fallocate(0x11, 1000000, 5000)
assert os.fstat(fd).st_size == 1000010
to = os.open('copied', os.O_RDWR | os.O_CREAT)
assert os.copy_file_range(fd, to, 300000, 262144, 7) == 300000
os.close(fd)
os.close(to)
data = open('copied', 'rb').read()
assert data == bytes(7) + b'x' * (300000 - 262144) + bytes(1000) + b'x' * (262144 + 300000 - 301000)
fd = os.open('ranges', os.O_RDONLY)
assert os.lseek(fd, 5, os.SEEK_DATA) == 5 and os.lseek(fd, 5, os.SEEK_HOLE) == 1000010
`;
    await run('python3', ['-c', script, at('box')]);
    assert.equal((await weir.s3.get('box', 'ranges'))?.length, 1_000_010);
  });

  it('takes set-user-id and set-group-id from what an ordinary user changes, and from what is given away', async () => {
    const script = `
import mmap, os, struct, sys
file = sys.argv[1] + '/set-id'
def begin(mode=0o6777):
    with open(file, 'wb') as f: f.write(b'x' * 20000)
    os.chown(file, 0, 0); os.chmod(file, mode)
    assert os.stat(file).st_mode & 0o7777 == mode
def as_user(step):
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([]); os.setgid(65534); os.setuid(65534)
            step(); os._exit(0)
        except BaseException as error:
            print(error, file=sys.stderr); os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
def changed(step):
    fd = os.open(file, os.O_RDWR)
    step(fd)
    seen = os.fstat(fd).st_mode & 0o7777
    os.close(fd)
    return seen
def mode(): return os.stat(file).st_mode & 0o7777
steps = {'write': lambda fd: os.pwrite(fd, b'y', 0), 'again': lambda fd: [os.pwrite(fd, b'y' * 70000, at) for at in range(3)],
         'truncate': lambda fd: os.ftruncate(fd, 10), 'allocate': lambda fd: os.posix_fallocate(fd, 0, 30000)}
for name, step in steps.items():
    begin(); changed(step); assert mode() == 0o6777, ('root keeps them', name, oct(mode()))
    begin()
    def as_they_see():
        seen = changed(step); assert seen == 0o777, (name, oct(seen))
    as_user(as_they_see)
    assert mode() == 0o777, (name, oct(mode()))
    begin(0o6767); as_user(lambda: changed(step)); assert mode() & 0o4000 == 0, (name, oct(mode()))
begin(); as_user(lambda: open(file, 'wb').close()); assert mode() == 0o777, ('open', oct(mode()))
begin(); os.chown(file, 1, 1); assert mode() == 0o777, ('chown', oct(mode()))
# A file that is being written already.
begin(0o777); fd = os.open(file, os.O_RDWR); os.pwrite(fd, b'z', 5); os.chmod(file, 0o6777)
as_user(lambda: os.pwrite(fd, b'w', 6)); assert mode() == 0o777, ('open before', oct(mode()))
os.close(fd); os.unlink(file)
# One that was just made, and is only written.
fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o6777)
os.chmod(file, 0o6777); os.pwrite(fd, b'a' * 9000, 0); assert mode() == 0o6777
as_user(lambda: os.pwrite(fd, b'b', 0)); assert mode() == 0o777, ('made', oct(mode()))
os.setxattr(file, 'security.capability', struct.pack('<5I', 0x02000000, 0x2000, 0, 0, 0))
assert len(os.getxattr(file, 'security.capability')) == 20
os.pwrite(fd, b'c', 1)
assert 'security.capability' not in os.listxattr(file)
reader = os.open(file, os.O_RDONLY); seen = mmap.mmap(reader, 9000, mmap.MAP_SHARED, mmap.PROT_READ)
assert os.pread(reader, 10, 0) == b'bc' + b'a' * 8 and seen[:3] == b'bca'
for i in range(50):
    at = i * 97; os.pwrite(fd, b'%03d' % i, at)
    assert os.pread(reader, 3, at) == b'%03d' % i and seen[at:at + 3] == b'%03d' % i, i
os.close(fd); assert os.pread(reader, 3, 97) == b'001'
seen.close(); os.close(reader); os.unlink(file)
directory = sys.argv[1] + '/set-id-directory'
os.mkdir(directory); os.chmod(directory, 0o2775); os.chown(directory, 1, 1); assert os.stat(directory).st_mode & 0o7777 == 0o2775
os.rmdir(directory)
`;
    await run('python3', ['-c', script, at('box')]);
  });

  it('shows who reads a growing file no byte that was not written', async () => {
    const script = `
import os, sys
log, end = sys.argv[1] + '/growing', 1500000
fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
def read():
    reader, at = os.open(log, os.O_RDONLY), 0
    while at < end:
        start = max(0, at - 5000)
        seen = os.pread(reader, 200000, start)
        at = start + len(seen)
        if b'\\0' in seen: return 1
    return 0
readers = []
for _ in range(3):
    reader = os.fork()
    if reader == 0: os._exit(read())
    readers.append(reader)
written = 0
while written < end: written += os.write(fd, b'x' * 100)
statuses = [os.waitpid(reader, 0)[1] for reader in readers]
os.close(fd); os.unlink(log)
assert not any(statuses), statuses
`;
    await run('python3', ['-c', script, at('box', 'dir')]);
  });

  it('changes the ctime of what is given to who has it, while it is written and afterwards', async () => {
    const given = at('box', 'dir', 'given');
    const file = await open(given, 'wx');
    await file.write('bytes');
    const before = await file.stat({bigint: true});
    await file.chown(Number(before.uid), Number(before.gid));
    const after = await file.stat({bigint: true});
    await file.close();
    const closed = await stat(given, {bigint: true});
    assert.ok(after.ctimeNs > before.ctimeNs && closed.ctimeNs >= after.ctimeNs);
    for (const {mtimeNs, mode, uid, size} of [after, closed]) assert.deepEqual([mtimeNs, mode, uid, size], [before.mtimeNs, before.mode, before.uid, 5n]);
    await unlink(given);
  });

  it('keeps the mode of what is edited in its place', async () => {
    await writeFile(at('box', 'edited'), 'one', {mode: 0o640});
    await run('sed', ['-i', 's/one/two/', at('box', 'edited')]);
    assert.equal(await readFile(at('box', 'edited'), 'utf8'), 'two');
    assert.equal((await stat(at('box', 'edited'))).mode, 0o100640);
  });

  it('holds directories to their quotas', async () => {
    const limited = at('box', 'limited');
    await mkdir(path.join(limited, 'deep'), {recursive: true});
    await writeFile(path.join(limited, 'there'), Buffer.alloc(300_000));
    await weir.command('fs', 'quota', 'set', '/box/limited', '1MiB');
    const used = async (): Promise<number> => (JSON.parse(await weir.command('fs', 'quota', 'show', '/box/limited/deep', '--json')) as {used: number}).used;
    await eventually('what is there is counted', async () => (await used()) === 300_000);
    const {blocks, bsize, bavail} = await statfs(path.join(limited, 'deep'));
    assert.deepEqual([blocks * bsize, bavail * bsize], [1_048_576, Math.floor((1_048_576 - 300_000) / bsize) * bsize]);
    await using file = await open(path.join(limited, 'deep', 'grows'), 'w');
    await file.write(Buffer.alloc(700_000));
    await assert.rejects(file.writeFile(Buffer.alloc(100_000)), overQuota);
    await assert.rejects(file.truncate(2_000_000), overQuota);
    const {size} = await file.stat();
    assert.ok(size >= 700_000 && size <= 748_576, `${size}: what there is room for`);
    await file.close();
    assert.equal(await used(), 300_000 + size);
    const {status, body} = await weir.s3.request('PUT', '/box/limited/other', {body: Buffer.alloc(50_000)});
    assert.deepEqual([status, /<Code>(.*)<\/Code>/.exec(body.toString())?.[1]], [403, 'QuotaExceeded']);
    await writeFile(at('box', 'outside'), Buffer.alloc(60_000));
    await assert.rejects(rename(at('box', 'outside'), path.join(limited, 'inside')), overQuota);
    await rename(path.join(limited, 'there'), at('box', 'moved'));
    await rename(at('box', 'outside'), path.join(limited, 'inside'));
    await mkdir(at('box', 'tree', 'inner'), {recursive: true});
    await assert.rejects(rename(at('box', 'tree'), path.join(limited, 'tree')), code('EXDEV'));
    await unlink(path.join(limited, 'deep', 'grows'));
    assert.equal(await used(), 60_000);
    await weir.command('fs', 'quota', 'remove', '/box/limited');
    await writeFile(path.join(limited, 'much'), big);
  });

  it('is changed again as soon as it is closed, while its draft is being put away', async () => {
    await writeFile(at('box', 'again'), '');
    const script = 'import os, sys\nfor n in range(300):\n f = os.open(sys.argv[1], os.O_WRONLY); os.pwrite(f, b"%03d" % n, 3 * n); os.close(f)\n if n % 50 == 49: os.truncate(sys.argv[1], 3 * n + 3)';
    await run('python3', ['-c', script, at('box', 'again')]);
    assert.equal(await readFile(at('box', 'again'), 'utf8'), Array.from({length: 300}, (_, n) => String(n).padStart(3, '0')).join(''));
  });

  it('is not interrupted by signals that a program survives', async () => {
    const script = `
import ctypes, os, signal, sys
os.chdir(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
signal.signal(signal.SIGALRM, lambda *_: None); signal.siginterrupt(signal.SIGALRM, True); signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
for n in range(30):
    f = libc.open(b'alarmed%d' % n, os.O_CREAT | os.O_RDWR, 0o600); assert f >= 0, ctypes.get_errno()
    assert libc.write(f, b'x' * 100000, 100000) == 100000 and libc.close(f) == 0, ctypes.get_errno()
signal.setitimer(signal.ITIMER_REAL, 0)
`;
    await run('python3', ['-c', script, at('box')]);
    assert.equal((await weir.s3.get('box', 'alarmed29'))?.length, 100_000);
  });

  // Only what the store alone has can be taken away there.
  if (writeType === 'CACHE_THROUGH') it('says that a file is stale whose bytes were taken away in the store', async () => {
    await put('taken', randomBytes(1000));
    const {size} = await stat(at('box/taken'));
    await rm(path.join(weir.home, 'data/box/taken'));
    const file = await open(at('box/taken'));
    await assert.rejects(file.read(Buffer.alloc(size), 0, size, 0), error => (error as NodeJS.ErrnoException).errno === -116, 'ESTALE, which Node has no name for');
    await file.close();
    await assert.rejects(readFile(at('box/taken')), code('ENOENT'));
  });

  it('says when a file was changed that is being written', async () => {
    await using file = await open(at('box', 'dirty'), 'w');
    await file.write('x');
    let before = (await file.stat({bigint: true})).ctimeNs;
    for (const change of [() => file.chmod(0o600), () => rename(at('box', 'dirty'), at('box', 'renamed')), () => file.write('y')]) {
      await change();
      const {ctimeNs} = await file.stat({bigint: true});
      assert.ok(ctimeNs > before);
      before = ctimeNs;
    }
  });

  it('reads what was written where versions are kept', async () => {
    await mkdir(at('kept'));
    await weir.s3.must('PUT', '/kept', {query: 'versioning=', body: Buffer.from('<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>')});
    for (const text of ['one', 'two', 'three']) {
      await writeFile(at('kept', 'file'), text);
      assert.equal(await readFile(at('kept', 'file'), 'utf8'), text);
    }
    await truncate(at('kept', 'file'), 2);
    assert.equal(await readFile(at('kept', 'file'), 'utf8'), 'th');
  });

  it('keeps a file that was unlinked or replaced for those who have it open', async () => {
    for (const gone of [(name: string) => unlink(name), async (name: string) => {
      await writeFile(`${name}.new`, 'other');
      await rename(`${name}.new`, name);
    }]) {
      await writeFile(at('box', 'going'), 'here');
      await using file = await open(at('box', 'going'), 'r+');
      await gone(at('box', 'going'));
      assert.equal(await file.readFile('utf8'), 'here');
      await file.write('!', 4);
      assert.equal((await file.stat()).size, 5);
      // What is changed of it is seen by whoever has it.
      await file.chmod(0o640);
      await file.chown(1, 2);
      const {mode, uid, gid, nlink, size} = await file.stat();
      assert.deepEqual([mode, uid, gid, nlink, size], [0o100640, 1, 2, 0, 5]);
      await file.truncate(3);
      assert.equal(await readFile(`/proc/self/fd/${file.fd}`, 'utf8'), 'her');
    }
    assert.equal(await readFile(at('box', 'going'), 'utf8'), 'other');
    await writeFile(at('box', 'orphan'), big);
    await using orphan = await open(at('box', 'orphan'), 'r+');
    await unlink(at('box', 'orphan'));
    assert.ok((await orphan.readFile()).equals(big));
    await orphan.write('changed', 5);
    await orphan.truncate(20);
    await orphan.chmod(0o600);
    await orphan.sync();
    const {size, mode, nlink} = await orphan.stat();
    assert.deepEqual([size, mode & 0o777, nlink], [20, 0o600, 0]);
    assert.equal((await orphan.read(Buffer.alloc(20), 0, 20, 0)).buffer.subarray(5, 12).toString(), 'changed');
  });

  it('is a plain file under random reads, writes, truncations, renames and re-opening', async () => {
    for (const seed of [1, 2, 3]) await randomOperations(at('box'), seed, 600);
  });

  it('has what was written after kill -9, closed or not', async () => {
    const file = await open(at('box', 'unclosed'), 'w');
    await file.write(big);
    await file.sync();
    await file.write('and some more');
    await weir.kill();
    // The mount, too.
    process.kill((await keeperOf(place))!);
    await file.close().catch(() => undefined);
    await weir.up();
    await eventually('the draft is published', async () => (await weir.s3.get('box', 'unclosed'))?.equals(Buffer.concat([big, Buffer.from('and some more')])) === true);
    await appendFile(at('box', 'unclosed'), '!');
    assert.equal((await stat(at('box', 'unclosed'))).size, big.length + 14);
  });

  it('refuses changes on a read-only mount, where the kernel reads what is cached whole', async () => {
    const second = await mkdtemp(path.join(tmpdir(), 'weir-mount-'));
    const child = spawn(process.execPath, ['--conditions=source', main, 'fuse', second, '--read-only', '--home', weir.home], {stdio: ['ignore', 'pipe', 'inherit']});
    await once(child.stdout, 'data');
    assert.ok((await readFile(path.join(second, 'box', 'dir', 'big'))).equals(big));
    await assert.rejects(writeFile(path.join(second, 'box', 'new'), 'x'), code('EROFS'));
    const ended = once(child, 'exit');
    child.kill('SIGINT');
    await ended;
    assert.deepEqual(await readdir(second), []);
    await rmdir(second);
  });

  it('is mounted by what mount(8) calls for fuse.weir, and ended by umount', async () => {
    const second = await mkdtemp(path.join(tmpdir(), 'weir-mount-'));
    const helper = path.resolve(import.meta.dirname, '../../bin/mount.fuse.weir');
    const options = {env: {...process.env, PATH: `${path.dirname(process.execPath)}:${process.env['PATH']}`}, timeout: 60_000};
    await assert.rejects(run(helper, [weir.home, second, '-o', 'rw,no-such'], options), {code: 32});
    await assert.rejects(run(helper, [weir.home], options), {code: 1});
    await run(helper, [weir.home, second, '-f'], options);
    assert.deepEqual(await readdir(second), []);
    await run(helper, [weir.home, second, '-o', 'ro,noexec,_netdev,x-systemd.automount,uid=1234,umask=077'], options);
    const {uid, gid, mode} = await stat(path.join(second, 'box', 'dir', 'small'));
    assert.deepEqual([uid, gid, mode & 0o777], [1234, 0, 0o600]);
    assert.equal(await readFile(path.join(second, 'box', 'dir', 'small'), 'utf8'), 'small');
    await assert.rejects(writeFile(path.join(second, 'box', 'new'), 'x'), code('EROFS'));
    assert.match(await readFile('/proc/mounts', 'utf8'), new RegExp(`${second} fuse.weir ro,nosuid,nodev,noexec`));
    await run('umount', [second]);
    assert.deepEqual(await readdir(second), []);
    await rmdir(second);
  });

  it('shows keys that are no file names under names that lead back', async () => {
    const long = 'l'.repeat(300);
    const keys = ['odd/a', 'odd/a/inner', 'odd/../up', 'odd//empty', `odd/${long}`, 'odd/@weir:x', 'odd/\u{1f600}'];
    for (const key of keys) await put(key, key);
    const names = await readdir(at('box', 'odd'));
    assert.deepEqual(names.filter(name => !name.startsWith('@weir:id:')).toSorted(), ['@weir:dotdot', '@weir:empty', '@weir:file:a', '@weir:name:@weir:x', 'a', '\u{1f600}'].toSorted());
    const read = (...inner: string[]): Promise<string> => readFile(at('box', 'odd', ...inner), 'utf8');
    assert.equal(await read('a', 'inner'), 'odd/a/inner');
    assert.equal(await read('@weir:file:a'), 'odd/a');
    assert.equal(await read('@weir:dotdot', 'up'), 'odd/../up');
    assert.equal(await read('@weir:empty', 'empty'), 'odd//empty');
    assert.equal(await read('@weir:name:@weir:x'), 'odd/@weir:x');
    assert.equal(await read('\u{1f600}'), 'odd/\u{1f600}');
    assert.equal(await read(names.find(name => name.startsWith('@weir:id:'))!), `odd/${long}`);
  });

  it('lists more names than a page has, each once', async () => {
    const names = Array.from({length: 1200}, (_, i) => `n${String(i).padStart(5, '0')}`);
    for (let i = 0; i < names.length; i += 50) await Promise.all(names.slice(i, i + 50).map(name => put(`many/${name}`, '')));
    assert.deepEqual(await readdir(at('box', 'many')), names);
    const {stdout} = await run('find', [at('box', 'many'), '-type', 'f', '-size', '0']);
    assert.equal(stdout.trim().split('\n').length, names.length);
  });

  it('sees at once what another front end changes; what is open never becomes another version', async () => {
    await put('changing', big);
    await using file = await open(at('box', 'changing'));
    const next = randomBytes(big.length);
    await put('changing', next);
    assert.ok((await readFile(at('box', 'changing'))).equals(next));
    assert.ok((await file.readFile()).equals(big), 'what was opened is moved out of the way');
    await weir.s3.remove('box', 'changing');
    await assert.rejects(stat(at('box', 'changing')), code('ENOENT'));
  });

  it('remembers names, attributes and listings, and forgets them before anybody is told that they have changed', async () => {
    const model = new Map<string, number>();
    const names = ['a', 'b', 'c', 'd'];
    let state = 7;
    const below = (limit: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * limit);
    };
    await mkdir(at('box', 'seen'));
    for (let step = 0; step < 200; step++) {
      const name = names[below(names.length)]!;
      if (below(3) === 0) {
        await weir.s3.remove('box', `seen/${name}`);
        model.delete(name);
      } else {
        const length = below(1_000);
        await put(`seen/${name}`, Buffer.alloc(length, 1));
        model.set(name, length);
      }
      // What was remembered of each, that it is not there among it, is what the kernel would say without asking.
      for (const each of names) {
        const found = await stat(at('box', 'seen', each)).catch(() => undefined);
        assert.equal(found?.size, model.get(each), `step ${step}: ${each}`);
      }
      assert.deepEqual((await readdir(at('box', 'seen'))).sort(), [...model.keys()].sort(), `step ${step}`);
    }
    const requests = () => kernelRequests(weir);
    for (const name of names) await stat(at('box', 'seen', name)).catch(() => undefined);
    const before = await requests();
    for (let i = 0; i < 1_000; i++) await stat(at('box', 'seen', names[i % names.length]!)).catch(() => undefined);
    assert.ok((await requests()) - before < 20, 'asked again although nothing had changed');
  });

  it('comes back after kill -9, in the place of the dead mount', async () => {
    await weir.kill();
    process.kill((await keeperOf(place))!);
    await assert.rejects(stat(at('box', 'never-asked-for')), error => code('ENOTCONN')(error) || code('ECONNABORTED')(error));
    await weir.up();
    assert.ok((await readFile(at('box', 'dir', 'big'))).equals(big));
  });

  it('is gone when the instance has stopped, or when somebody unmounts it', async () => {
    await run('umount', [place]);
    assert.deepEqual(await readdir(place), []);
    assert.ok((await weir.s3.get('box', 'dir/big'))?.equals(big), 'the instance goes on');
    await weir.restart('SIGTERM');
    assert.deepEqual(await readdir(place), ['box', 'kept']);
    await weir.kill('SIGTERM');
    assert.deepEqual(await readdir(place), []);
    await rmdir(place);
    await assert.rejects(weir.up(), /NotFound/);
    await run('mkdir', [place]);
  });
});
