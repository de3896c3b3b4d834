/** The command itself, in real processes: started, refused, killed, restarted, stopped. No server of others and no network is needed. */
import assert from 'node:assert/strict';
import {type ChildProcess, execFile, spawn} from 'node:child_process';
import {once} from 'node:events';
import {chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {createInterface} from 'node:readline';
import {after, before, describe, it} from 'node:test';
import {connect} from '#process/client.ts';

const root = path.resolve(import.meta.dirname, '../..');
const main = ['--conditions=source', path.join(root, 'src/process/main.ts')];
const anyPorts = ['--s3-port', '0', '--http-port', '0', '--rpc-port', '0'];

interface Ready {
  readonly ready: true;
  readonly pid: number;
  readonly home: string;
  readonly s3: string;
  readonly http: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

interface Ended {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

let directory: string;
let home: string;
const running = new Set<ChildProcess>();

function environment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const kept = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_') && !name.startsWith('NODE_TEST')));
  return {...kept, WEIR_HOME: home, HOME: directory, ...extra};
}

function weir(args: readonly string[], extra?: Readonly<Record<string, string>>): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [...main, ...args], {env: environment(extra), cwd: directory, timeout: 60_000}, (error, out, err) => {
      resolve({status: error ? (typeof error.code === 'number' ? error.code : -1) : 0, out, err});
    });
  });
}

async function up(...args: readonly string[]): Promise<{child: ChildProcess; ready: Ready}> {
  const child = spawn(process.execPath, [...main, 'up', '--json', ...anyPorts, ...args], {env: environment(), cwd: directory, stdio: ['ignore', 'pipe', 'pipe']});
  running.add(child);
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const line = await createInterface({input: child.stdout})[Symbol.asyncIterator]().next();
  assert.ok(!line.done, `weir up said nothing: ${errors}`);
  return {child, ready: JSON.parse(line.value) as Ready};
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | NodeJS.Signals> {
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  child.kill(signal);
  const [status, by] = await closed;
  running.delete(child);
  return status ?? by!;
}

before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'weir-process-'));
});
after(async () => {
  for (const child of running) child.kill('SIGKILL');
  await rm(directory, {recursive: true, force: true});
});

describe('weir up', () => {
  before(() => (home = path.join(directory, 'home')));

  it('says when it is ready, is found by other commands, refuses a second instance, and goes by weir down', async () => {
    const {child, ready} = await up();
    assert.equal(ready.ready, true);
    assert.equal(ready.pid, child.pid);
    assert.equal(ready.home, home);
    assert.equal(await (await fetch(`${ready.http}/healthz`)).text(), 'ok\n');
    assert.equal((await stat(home)).mode & 0o777, 0o700);
    assert.equal((await stat(path.join(home, 'keys.json'))).mode & 0o777, 0o600);

    const status = await weir(['status', '--json']);
    assert.equal((JSON.parse(status.out) as {pid: number}).pid, child.pid);
    const env = await weir(['env']);
    assert.match(env.out, new RegExp(`export AWS_ENDPOINT_URL='${ready.s3}'`));
    assert.match(env.out, new RegExp(`export AWS_SECRET_ACCESS_KEY='${ready.secretAccessKey}'`));

    const second = await weir(['up', ...anyPorts]);
    assert.equal(second.status, 1);
    assert.match(second.err, /^weir: an instance is already running at .*\(AlreadyRunning\)/);

    const closed = once(child, 'close');
    assert.deepEqual(await weir(['down']), {status: 0, out: 'stopped\n', err: ''});
    assert.equal((await closed)[0], 0);
    running.delete(child);
    assert.ok(!(await readdir(home)).includes('instance.json'));
    const gone = await weir(['status']);
    assert.equal(gone.status, 1);
    assert.match(gone.err, /no instance is running/);
    assert.ok(!(await readFile(path.join(home, 'log/weir.log'), 'utf8')).includes(ready.secretAccessKey));
  });

  it('keeps what was acknowledged, its keys and its mounts over kill -9', async () => {
    const store = path.join(directory, 'store');
    await mkdir(store);
    await writeFile(path.join(store, 'there.txt'), 'there before');
    const first = await up(`file://${store}=/mounted`, '-o', 'maxAge=7s');
    {
      await using files = await connect({home});
      await files.write('/bucket/deep/a.bin', Buffer.alloc(300_000, 7));
      await files.write('/mounted/new.txt', 'written');
    }
    assert.equal(await end(first.child, 'SIGKILL'), 'SIGKILL');
    const stale = await weir(['fs', 'ls', '/']);
    assert.equal(stale.status, 1);
    assert.match(stale.err, /no instance is running/);

    const second = await up();
    assert.equal(second.ready.secretAccessKey, first.ready.secretAccessKey);
    await using files = await connect({home});
    assert.deepEqual(Buffer.from(await files.readBytes('/bucket/deep/a.bin')), Buffer.alloc(300_000, 7));
    assert.equal(Buffer.from(await files.readBytes('/mounted/there.txt')).toString(), 'there before');
    assert.equal(await readFile(path.join(store, 'new.txt'), 'utf8'), 'written');
    const mounts = JSON.parse((await weir(['mount', 'ls', '--json'])).out) as {path: string; freshness: string}[];
    assert.deepEqual(mounts.map((mount) => [mount.path, mount.freshness]), [['/', 'immutable'], ['/mounted/', 'maxAge=7.0s']]);
    assert.equal(await end(second.child, 'SIGTERM'), 0);

    const changed = await up(`file://${store}=/mounted`, '-o', 'maxAge=always', '-o', 'readOnly=true');
    const refused = await weir(['fs', 'rm', '/mounted/new.txt']);
    assert.equal(refused.status, 1);
    assert.match(refused.err, /ReadOnly/);
    assert.equal(await end(changed.child, 'SIGINT'), 0);
  });

  it('restores a backup only when it may, and whole', async () => {
    const {child} = await up();
    const before = (await weir(['fs', 'find', '/bucket'])).out;
    assert.notEqual(before, '');
    assert.equal((await weir(['backup', 'all.backup'])).status, 0);
    assert.match((await weir(['restore', 'all.backup'])).err, /AlreadyRunning/);
    assert.equal((await weir(['fs', 'put', path.join(root, 'LICENSE'), '/bucket/later'])).status, 0);
    assert.equal(await end(child, 'SIGTERM'), 0);
    assert.match((await weir(['restore', 'all.backup'])).err, /AlreadyExists/);
    const broken = (await readFile(path.join(directory, 'all.backup'))).subarray(0, -5);
    await writeFile(path.join(directory, 'broken.backup'), broken);
    assert.match((await weir(['restore', 'broken.backup', '--force'])).err, /Corrupt/);
    const restored = await weir(['restore', 'all.backup', '--force']);
    assert.equal(restored.status, 0);
    assert.match(restored.err, /kept in .*state\.before-restore until the next restore/);
    const again = await up();
    assert.ok((await weir(['fs', 'find', '/bucket'])).out.startsWith(before.split('\n')[0]!));
    assert.equal(await end(again.child, 'SIGTERM'), 0);
  });

  it('does not mount itself', async () => {
    const {child, ready} = await up();
    const refused = await weir(['mount', 'add', '/me', 's3://bucket', '-o', `endpoint=${ready.s3}`]);
    assert.equal(refused.status, 2);
    assert.match(refused.err, /would mount this very instance/);
    assert.equal(await end(child, 'SIGTERM'), 0);
  });

  it('says what is wrong with a taken port, a mount and a home that cannot be written', async () => {
    const {child, ready} = await up();
    const elsewhere = ['--home', path.join(directory, 'second')];
    const taken = await weir(['up', ...elsewhere, '--s3-port', new URL(ready.s3).port, '--http-port', '0', '--rpc-port', '0']);
    assert.equal(taken.status, 1);
    assert.match(taken.err, /^weir: .*\(AlreadyExists\)/);
    const nowhere = await weir(['up', ...elsewhere, ...anyPorts, `file://${directory}/nowhere`]);
    assert.equal(nowhere.status, 1);
    assert.match(nowhere.err, /nowhere/);
    assert.equal(await end(child, 'SIGTERM'), 0);
    const file = path.join(directory, 'a-file');
    await writeFile(file, '');
    const wrong = await weir(['up', '--home', path.join(file, 'home'), ...anyPorts]);
    assert.equal(wrong.status, 1);
    assert.match(wrong.err, /^weir: /);
    assert.doesNotMatch(wrong.err, /a bug/);
  });

  it('does not need the home of the user when another is named', async () => {
    const readOnly = path.join(directory, 'user');
    await mkdir(readOnly, {mode: 0o500});
    const {status, out} = await weir(['--version'], {HOME: readOnly});
    assert.equal(status, 0);
    assert.match(out, /^\d+\.\d+\.\d+\n$/);
    assert.deepEqual(await readdir(readOnly), []);
    await chmod(readOnly, 0o700);
  });
});

describe('the client', () => {
  before(() => (home = path.join(directory, 'client-home')));

  it('runs the example of the documentation', async () => {
    const {child} = await up();
    const ended = await new Promise<Ended>((resolve) => {
      execFile(process.execPath, ['--conditions=source', path.join(root, 'examples/client.ts')], {env: environment(), timeout: 60_000}, (error, out, err) => {
        resolve({status: error ? -1 : 0, out, err});
      });
    });
    assert.deepEqual(ended, {status: 0, out: 'line 1\nline 2\nline 3\nweir\n/example/hello.txt 12\n/example/numbers.txt 21\nkept\n', err: ''});
    assert.equal(await end(child, 'SIGTERM'), 0);
  });
});

describe('weir demo', () => {
  it('compares, explains, and leaves nothing behind', async () => {
    const {status, out, err} = await weir(['demo', '--megabytes', '4'], {TMPDIR: directory});
    assert.equal(err, '');
    assert.equal(status, 0);
    assert.match(out, /^through Weir, second time .*B$/m);
    assert.match(out, /^\/faraway\/data\/part-0000.bin {2}file/m);
    assert.ok(!(await readdir(directory)).some((name) => name.startsWith('weir-demo-')));
  });
});
