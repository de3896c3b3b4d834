/** A store that does not answer: who asks for it on the mount can be killed, and interrupted, and nobody else waits. Needs root, /dev/fuse and a store of the tools. */
import assert from 'node:assert/strict';
import {execFile, spawn} from 'node:child_process';
import {mkdtemp, readdir, readFile, rm, stat, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {after, before, describe, it} from 'node:test';
import {promisify} from 'node:util';
import {unmountable} from '../conformance/posix/places.ts';
import {eventually, type Stack, startStack} from './harness.ts';
import {type MisbehavingProxy, startMisbehavingProxy} from './misbehaving-proxy.ts';

const run = promisify(execFile);
/** Far below what any time limit of a store allows. */
const promptMs = 10_000;

/** In Python, with `name` of their own. `unanswered`: requests of that method; absent: all. A program that catches SIGINT, as Python would, is not ended by it: it goes on waiting, as on a disk. */
const programs: Readonly<Record<string, {readonly text: string; readonly unanswered?: string}>> = {
  'looks up a name': {text: 'os.stat(f"looked-{name}/file")'},
  'opens a file': {text: 'open(f"opened-{name}/file")'},
  'lists a directory': {text: 'os.listdir(f"listed-{name}")'},
  'reads a file': {text: 'open(f"cold/{name}").read()', unanswered: 'GET'},
  'changes a file': {text: 'os.write(os.open(f"cold/{name}", os.O_WRONLY), b"changed")', unanswered: 'GET'},
  'creates a file': {text: 'open(f"through/new-{name}", "x")', unanswered: 'PUT'},
  'closes a file that it has written': {text: 'f = open(f"through/{name}", "w"); f.write("written"); f.close()', unanswered: 'PUT'},
  'syncs a file and closes it': {text: 'f = open(f"through/{name}", "w"); f.write("written"); f.flush(); os.fsync(f.fileno()); f.close()', unanswered: 'PUT'},
};
const prelude = 'import os, signal, sys\nsignal.signal(signal.SIGINT, signal.SIG_DFL)\nname = sys.argv[1]\n';

describe('a mount whose store does not answer', {skip: unmountable() ?? false}, () => {
  let [stack, proxy, place]: [Stack | undefined, MisbehavingProxy | undefined, string] = [undefined, undefined, ''];
  const names: string[] = [];

  before(async () => {
    place = await mkdtemp(path.join(tmpdir(), 'weir-hanging-'));
    stack = await startStack('a store that hangs', {
      args: ['--fuse', place], mountOptions: ['maxAge=60s'],
      between: async port => (proxy = await startMisbehavingProxy(port)).port,
    });
    if (!stack) return;
    const {direct, weir} = stack;
    for (const how of ['kill', 'int']) for (const i of Object.keys(programs).keys()) names.push(`${how}-${i}`);
    for (const name of names) for (const at of [`looked-${name}/file`, `opened-${name}/file`, `listed-${name}/file`, `cold/${name}`, `through/${name}`]) await direct.put('lake', at, 'text');
    await readdir(path.join(place, 'lake'));
    for (const name of await readdir(path.join(place, 'lake', 'cold'))) await stat(path.join(place, 'lake', 'cold', name));
    await weir.s3.must('PUT', '/here');
    for (const name of await readdir(path.join(place, 'lake', 'through'))) await stat(path.join(place, 'lake', 'through', name));
    await weir.command('write-type', '/lake/through', 'CACHE_THROUGH');
  });

  after(async () => {
    await stack?.weir.kill('SIGTERM');
    await run('umount', ['-l', place]).catch(() => undefined);
    await stack?.[Symbol.asyncDispose]();
    await proxy?.[Symbol.asyncDispose]();
    await rm(place, {recursive: true, force: true});
  });

  for (const [i, [what, {text, unanswered}]] of Object.entries(programs).entries()) for (const signal of ['SIGKILL', 'SIGINT'] as const) it(`lets go of who ${what}: ${signal}`, async t => {
    if (!stack || !proxy) return t.skip('no store');
    const name = `${signal === 'SIGKILL' ? 'kill' : 'int'}-${i}`;
    let asked = false;
    proxy.mood = ({method, url}) => {
      if (unanswered !== undefined && method !== unanswered) return undefined;
      asked ||= url!.includes(name);
      return {kind: 'hang'};
    };
    const program = spawn('python3', ['-c', prelude + text, name], {cwd: path.join(place, 'lake'), stdio: 'ignore'});
    let gone = false;
    program.once('exit', () => (gone = true));
    try {
      await eventually('the store is asked', async () => asked || gone);
      assert.equal(gone, false, 'it waits for the store');
      await run('sh', ['-euc', 'echo text > "here/$1"; cat "here/$1"; ls here; stat lake', 'sh', name], {cwd: place, timeout: promptMs});
      program.kill(signal);
      await eventually('it goes at once', async () => gone, promptMs);
    } finally {
      proxy.mood = () => undefined;
      program.kill('SIGKILL');
      await eventually('it goes with an answer', async () => gone, 60_000);
    }
  });

  it('goes on with its store', async t => {
    if (!stack || !proxy) return t.skip('no store');
    await writeFile(path.join(place, 'lake', 'again'), 'text');
    assert.equal(String(await readFile(path.join(place, 'lake', 'cold', names[0]!))), 'text');
  });

  it('has lost nothing of what was closed meanwhile: the next daemon publishes it', async t => {
    if (!stack || !proxy) return t.skip('no store');
    const closed = names.filter(name => /-[67]$/.test(name)).map(name => `through/${name}`);
    assert.equal(closed.length, 4);
    const {direct, weir} = stack;
    // What the store was given and has not answered is waited for, for minutes.
    await weir.restart();
    for (const at of closed) await eventually(`the store has ${at}`, async () => String(await direct.get('lake', at)) === 'written');
  });
});
