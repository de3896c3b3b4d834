/** What the kernel reads by itself, and what must not be given to it: on a mount over an S3 store, and over the home. Needs root and /dev/fuse. */
import assert from 'node:assert/strict';
import {execFile, spawn} from 'node:child_process';
import {once} from 'node:events';
import {randomBytes} from 'node:crypto';
import {appendFile, chmod, mkdtemp, open, readFile, rename, rm, stat, truncate, unlink, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {after, before, describe, it} from 'node:test';
import {createInterface} from 'node:readline';
import {promisify} from 'node:util';
import {passesThrough} from '../conformance/posix/places.ts';
import {kernelRequests, Weir} from './harness.ts';

const run = promisify(execFile);
const main = path.resolve(import.meta.dirname, '../../src/process/main.ts');
const code = (name: string) => (error: unknown) => (error as NodeJS.ErrnoException).code === name;

/** Maps a file, closes it, says so, and at every line on its standard input prints a digest of what the map shows. */
const mapper = `
import ctypes, hashlib, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64]
fd = os.open(sys.argv[1], os.O_RDONLY)
size = os.fstat(fd).st_size
at = libc.mmap(None, size, 1, 1, fd, 0)
os.close(fd)
print('mapped', flush=True)
for line in sys.stdin: print(hashlib.sha256(ctypes.string_at(at, size)).hexdigest(), flush=True)
`;

class MappedFile implements AsyncDisposable {
  readonly #child;
  readonly #lines: AsyncIterator<string>;

  private constructor(file: string) {
    this.#child = spawn('python3', ['-c', mapper, file], {stdio: ['pipe', 'pipe', 'inherit']});
    this.#lines = createInterface({input: this.#child.stdout})[Symbol.asyncIterator]();
  }

  static async of(file: string): Promise<MappedFile> {
    const map = new MappedFile(file);
    assert.equal((await map.#lines.next()).value, 'mapped');
    return map;
  }

  async digest(): Promise<string> {
    this.#child.stdin.write('\n');
    return String((await this.#lines.next()).value);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.stdin.end();
    await ended;
  }
}

async function digestOf(bytes: Buffer): Promise<string> {
  return Buffer.from(await crypto.subtle.digest('SHA-256', Uint8Array.from(bytes))).toString('hex');
}

describe('passthrough', {skip: passesThrough() ? false : 'needs root, /dev/fuse and Linux 6.9'}, () => {
  const big = randomBytes(12 * 1024 * 1024 + 17);
  let source: Weir;

  before(async () => {
    source = await Weir.start({args: []});
    await source.s3.must('PUT', '/box');
    for (const name of ['fixed', 'written', 'mapped', 'replaced', 'gone', 'below']) await source.s3.put('box', name, big);
  });
  after(async () => source[Symbol.asyncDispose]());

  /** With the bucket of `source` at /box, and an own one, /own. */
  async function mounted(options: string, body: (place: string, weir: Weir) => Promise<void>, ...mountOptions: string[]): Promise<void> {
    const place = await mkdtemp(path.join(tmpdir(), 'weir passthrough-'));
    const {s3, accessKeyId, secretAccessKey} = source.ready;
    const store = ['s3://box', ...[`endpoint=${s3}`, `accessKeyId=${accessKeyId}`, `secretAccessKey=${secretAccessKey}`, ...mountOptions].flatMap(option => ['-o', option])];
    const weir = await Weir.start({args: ['--fuse', place, '--fuse-options', options, ...store]});
    try {
      await weir.s3.must('PUT', '/own');
      await weir.s3.put('own', 'big', big);
      await body(place, weir);
    } finally {
      await weir.kill('SIGTERM');
      await run('umount', ['-l', place]).catch(() => undefined);
      await weir[Symbol.asyncDispose]();
      await rm(place, {recursive: true});
    }
  }

  /** Reads the file, which is cached already, past what the kernel remembers of it. */
  async function asksWeir(weir: Weir, file: string): Promise<boolean> {
    await run('dd', [`if=${file}`, 'iflag=nocache', 'count=0']);
    const before = await kernelRequests(weir);
    assert.ok((await readFile(file)).equals(big));
    // 12 MiB come in requests of 1 MiB at most; opening and closing are three.
    return (await kernelRequests(weir)) - before > 8;
  }

  it('gives the kernel what nobody may write, and nothing else, on a mount that can be written', async () => {
    await mounted('dev,suid', async (place, weir) => {
      const file = path.join(place, 'box', 'fixed');
      assert.ok((await readFile(file)).equals(big));
      assert.ok(await asksWeir(weir, file), 'as long as it may be written');
      await chmod(file, 0o444);
      assert.ok(!(await asksWeir(weir, file)));
      const own = path.join(place, 'own', 'big');
      assert.ok(await asksWeir(weir, own));
      await chmod(own, 0o444);
      assert.ok(!(await asksWeir(weir, own)), 'what lies in the home, in place');
    });
  });

  it('refuses to have it written while it is open, and not its names; then it is a file as any other', async () => {
    await mounted('dev,suid', async (place, weir) => {
      const file = path.join(place, 'box', 'fixed');
      await chmod(file, 0o444);
      await readFile(file);
      {
        await using reading = await open(file);
        for (const change of [() => appendFile(file, 'x'), () => open(file, 'r+'), () => truncate(file, 5)]) await assert.rejects(change(), code('ETXTBSY'));
        await using again = await open(file);
        await rename(file, `${file}-renamed`);
        await rename(`${file}-renamed`, file);
        for (const one of [reading, again]) assert.ok((await one.readFile()).equals(big));
      }
      await appendFile(file, 'more');
      assert.ok((await readFile(file)).equals(Buffer.concat([big, Buffer.from('more')])));
      assert.ok((await weir.s3.get('box', 'fixed'))?.equals(Buffer.concat([big, Buffer.from('more')])));
    });
  });

  it('goes on with what is open when it is replaced and removed, through a map too', async () => {
    await mounted('dev,suid', async (place, weir) => {
      const [replaced, gone] = [path.join(place, 'box', 'replaced'), path.join(place, 'box', 'gone')];
      for (const file of [replaced, gone]) {
        await chmod(file, 0o444);
        await readFile(file);
      }
      await using first = await open(replaced);
      await using second = await open(gone);
      await using map = await MappedFile.of(replaced);
      await weir.s3.put('box', 'replaced', Buffer.from('new'));
      await unlink(gone);
      assert.equal(await readFile(replaced, 'utf8'), 'new');
      for (const one of [first, second]) assert.ok((await one.readFile()).equals(big));
      assert.equal(await map.digest(), await digestOf(big));
      await assert.rejects(stat(gone), code('ENOENT'));
    });
  });

  it('keeps the bytes of a map that outlives its descriptor, when the cache has let them go', async () => {
    await mounted('ro', async (place, weir) => {
      const file = path.join(place, 'box', 'mapped');
      await readFile(file);
      await using map = await MappedFile.of(file);
      await run(process.execPath, ['--conditions=source', main, 'free', '/box/mapped', '--home', weir.home]);
      assert.ok(await asksWeir(weir, file), 'it is not cached any more');
      assert.equal(await map.digest(), await digestOf(big));
    });
  });

  it('shows new bytes in maps of what may be written, also in those whose descriptors are closed', async () => {
    await mounted('dev,suid', async (place) => {
      const file = path.join(place, 'box', 'written');
      assert.ok((await readFile(file)).equals(big));
      await using map = await MappedFile.of(file);
      assert.equal(await map.digest(), await digestOf(big));
      await using writing = await open(file, 'r+');
      await writing.write('changed', 1_000_000);
      const changed = Buffer.from(big);
      changed.write('changed', 1_000_000);
      assert.equal(await map.digest(), await digestOf(changed));
    });
  });

  it('gives the kernel everything below a mount of the namespace that cannot be written', async () => {
    await mounted('dev,suid', async (place, weir) => {
      await run(process.execPath, ['--conditions=source', main, 'mount', 'set', '/box', '--read-only', '--home', weir.home]);
      const file = path.join(place, 'box', 'below');
      await readFile(file);
      assert.ok(!(await asksWeir(weir, file)));
      await assert.rejects(writeFile(file, 'x'), (error: unknown) => ['EROFS', 'ETXTBSY'].includes((error as NodeJS.ErrnoException).code!));
    });
  });

  it('gives it nothing where that is not wanted', async () => {
    await mounted('ro,nopassthrough', async (place, weir) => {
      const file = path.join(place, 'box', 'mapped');
      await readFile(file);
      assert.ok(await asksWeir(weir, file));
      const {dev} = await stat(file, {bigint: true});
      assert.equal(await readFile(`/sys/class/bdi/${dev >> 8n}:${dev & 255n}/read_ahead_kb`, 'latin1'), '1024\n', 'read ahead as far as a request goes');
    });
  });
});
