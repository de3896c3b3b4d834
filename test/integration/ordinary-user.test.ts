/** Mounts of an ordinary user, by fusermount3. Needs root, to become one, and /dev/fuse. */
import assert from 'node:assert/strict';
import {execFile, spawn} from 'node:child_process';
import {once} from 'node:events';
import {chown, mkdtemp, readdir, readFile, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {after, before, describe, it} from 'node:test';
import {promisify} from 'node:util';
import {nobody, type OrdinaryUser, ordinaryUser} from '../conformance/posix/ordinary-user.ts';
import {unmountable} from '../conformance/posix/places.ts';
import {eventually, keeperOf, Weir} from './harness.ts';

const run = promisify(execFile);
const main = path.resolve(import.meta.dirname, '../../src/process/main.ts');
const why = unmountable();
const user: OrdinaryUser | undefined = why === undefined ? await ordinaryUser('mounting as an ordinary user') : undefined;

describe('a mount of an ordinary user', {skip: user ? false : (why ?? 'no user can mount')}, () => {
  let [place, beside, home] = ['', '', ''];
  let weir: Weir;
  /** What a program of the user's prints. */
  const as = async (script: string, directory = place): Promise<string> => (await run('sh', ['-euc', `cd ${directory}; ${script}`], {...nobody, cwd: '/'})).stdout.trim();
  const mounts = async () => (await readFile('/proc/mounts', 'utf8')).split('\n').filter(line => line.includes('fuse.weir')).map(line => line.split(' ')[1]);

  before(async () => {
    for (const [i, name] of ['place', 'beside', 'home'].entries()) {
      const made = await mkdtemp(path.join(tmpdir(), `weir-user-${name}-`));
      await chown(made, nobody.uid, nobody.gid);
      [place, beside, home] = [place, beside, home].with(i, made) as [string, string, string];
    }
    weir = await Weir.start({args: ['--fuse', place], user: nobody, env: {HOME: home}});
  });

  after(async () => {
    await weir.kill('SIGTERM');
    for (const directory of [place, beside]) await run('umount', ['-l', directory]).catch(() => undefined);
    await weir[Symbol.asyncDispose]();
    for (const directory of [place, beside, home]) await rm(directory, {recursive: true, force: true});
    await user?.[Symbol.asyncDispose]();
  });

  it('is his: what S3 makes, too', async () => {
    await as('mkdir box && echo one >box/file && chmod 600 box/file && ln -s file box/link && mv box/file box/other && ln box/other box/file');
    assert.equal(await as('stat -c "%u %g %a %h" box/file'), `${nobody.uid} ${nobody.gid} 600 2`);
    assert.equal(String(await weir.s3.get('box', 'other')), 'one\n');
    await weir.s3.must('PUT', '/box/of-s3', {body: Buffer.from('two\n')});
    assert.equal(await as('stat -c "%u %g" box/of-s3; echo three >>box/of-s3; cat box/of-s3'), `${nobody.uid} ${nobody.gid}\ntwo\nthree`);
    await assert.rejects(as('chown 0 box/file'), /not permitted/);
  });

  it('is nobody else\'s where the administrator has not allowed that, not even root\'s; and says so', async () => {
    const configuration = await readFile('/etc/fuse.conf', 'utf8').catch(() => '');
    if (/^user_allow_other$/m.test(configuration)) return;
    await assert.rejects(readdir(place), {code: 'EACCES'});
    assert.match(weir.log, /no other user may use the mount.*user_allow_other/);
  });

  it('goes on after kill -9', async () => {
    const script = `cd ${place}; exec 3>box/held; echo before >&3; echo ready; read go; echo after >&3; exec 3>&-; cat box/held`;
    const writer = spawn('sh', ['-euc', script], {...nobody, cwd: '/', stdio: ['pipe', 'pipe', 'inherit']});
    let said = '';
    writer.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await eventually('it has written', async () => said.includes('ready'));
    await weir.restart('SIGKILL');
    const gone = once(writer, 'close');
    writer.stdin.end('go\n');
    assert.deepEqual(await gone, [0, null]);
    assert.equal(said, 'ready\nbefore\nafter\n');
  });

  it('may be a second one, beside the instance', async () => {
    const args = ['--conditions=source', main, 'fuse', beside, '-o', 'noexec,suid', '--home', weir.home];
    const mounted = spawn(process.execPath, args, {...nobody, cwd: '/', env: {...process.env, HOME: home}, stdio: ['ignore', 'pipe', 'pipe']});
    let said = '';
    for (const stream of [mounted.stdout, mounted.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const gone = once(mounted, 'close');
    await eventually('it is mounted', async () => said.includes('mounted on') || mounted.exitCode !== null);
    assert.match(said, /left out, because only root can mount so: suid/);
    assert.match(said, /served by the instance/);
    assert.equal(await as('cat box/held', beside), 'before\nafter');
    await as(`fusermount3 -u ${beside}`, '/');
    assert.deepEqual(await gone, [0, null], said);
  });

  it('says what is missing where there is no fusermount3', async () => {
    const failed = run(process.execPath, ['--conditions=source', main, 'fuse', beside, '--own-process', '--home', weir.home], {...nobody, cwd: '/', env: {PATH: '/nonexistent', HOME: home}});
    await assert.rejects(failed, /mounting as an ordinary user needs fusermount3 \(of the package fuse3\), which is not installed; or mount as root/);
  });

  it('is of a process of its own where another user mounts', async () => {
    const mount = spawn(process.execPath, ['--conditions=source', main, 'fuse', beside, '--home', weir.home], {cwd: '/', stdio: ['ignore', 'pipe', 'inherit']});
    const gone = once(mount, 'close');
    const [said] = (await once(mount.stdout, 'data')) as [Buffer];
    assert.match(said.toString(), /by a process of its own, because the instance runs as another user/);
    assert.equal(await readFile(path.join(beside, 'box', 'held'), 'utf8'), 'before\nafter\n');
    mount.kill('SIGINT');
    await gone;
  });

  it('is gone when the instance has stopped', async () => {
    await weir.kill('SIGTERM');
    assert.ok(!(await mounts()).includes(place));
    assert.equal(await keeperOf(place), undefined);
  });
});
