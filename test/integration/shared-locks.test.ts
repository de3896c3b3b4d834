/** flock and fcntl between two mounts of one instance, each a process of its own kind. Needs root and /dev/fuse. */
import {type ChildProcess, execFile, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {after, before, describe, it} from 'node:test';
import {promisify} from 'node:util';
import {unmountable} from '../conformance/posix/places.ts';
import {eventually, keeperOf, Weir} from './harness.ts';
import {OwnMount} from './own-mount.ts';

const run = promisify(execFile);
const main = path.resolve(import.meta.dirname, '../../src/process/main.ts');

/** `here` and `there`: the file on each mount. */
const prelude = `
import errno, fcntl, os, signal, struct, subprocess, sys, time
here, there = sys.argv[1:3]
def refused(number, f, *a):
    try: f(*a)
    except OSError as e: assert e.errno == number, e
    else: raise AssertionError('not refused')
def other(text):
    start = 'import errno, fcntl, os, sys, time\\nf = open(sys.argv[1], "r+b")\\ndef say(w): print(w, flush=True)\\n'
    p = subprocess.Popen([sys.executable, '-c', start + text, there], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return p, lambda word: (lambda got: None if got == word else sys.exit('%r instead of %r' % (got, word)))(p.stdout.readline().strip())
EX, SH, NB, UN = fcntl.LOCK_EX, fcntl.LOCK_SH, fcntl.LOCK_NB, fcntl.LOCK_UN
f = open(here, 'r+b')
`;
const scripts = {
  'fcntl: ranges, who is in the way, waiting, and the end with the process': `
fcntl.lockf(f, EX, 10, 100)
p, hears = other('''
try: fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 109); say('granted')
except OSError as e: say(errno.errorcode[e.errno])
fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 5, 110); say('beside'); sys.stdin.readline()
fcntl.lockf(f, fcntl.LOCK_SH, 1, 100); say('waited'); sys.stdin.readline(); os._exit(0)
''')
hears('EAGAIN'); hears('beside')
got = struct.unpack('hhqqi', fcntl.fcntl(f, fcntl.F_GETLK, struct.pack('hhqqi', fcntl.F_WRLCK, 0, 112, 0, 0))[:struct.calcsize('hhqqi')]); assert got[0] == fcntl.F_WRLCK and got[2:4] == (110, 5), got
p.stdin.write('\\n'); p.stdin.flush(); time.sleep(0.2); fcntl.lockf(f, UN, 10, 100); hears('waited')
refused(errno.EAGAIN, fcntl.lockf, f, EX | NB, 1, 100); p.stdin.write('\\n'); p.stdin.flush(); p.wait(); fcntl.lockf(f, EX | NB)
g = open(here, 'rb'); g.close(); p, hears = other("fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB); say('free')"); hears('free'); p.wait()`,
  'flock: shared, alone, and with the last descriptor': `
fcntl.flock(f, SH); p, hears = other('''
fcntl.flock(f, fcntl.LOCK_SH | fcntl.LOCK_NB); say('shared')
try: fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError as e: say(errno.errorcode[e.errno])
fcntl.flock(f, fcntl.LOCK_UN); fcntl.flock(f, fcntl.LOCK_EX); say('alone'); sys.stdin.readline(); f.close(); say('closed'); sys.stdin.readline()
''')
hears('shared'); hears('EAGAIN'); d = os.dup(f.fileno()); f.close(); time.sleep(0.2); os.close(d); hears('alone')
f = open(here, 'r+b'); refused(errno.EAGAIN, fcntl.flock, f, SH | NB); fcntl.lockf(f, EX | NB); p.stdin.write('\\n'); p.stdin.flush(); hears('closed'); fcntl.flock(f, EX); p.kill()`,
  'waiting that would never end is refused': `
fcntl.lockf(f, EX, 1, 0); p, hears = other("fcntl.lockf(f, fcntl.LOCK_EX, 1, 1); say('mine'); fcntl.lockf(f, fcntl.LOCK_EX, 1, 0); say('got it')"); hears('mine'); time.sleep(0.5)
refused(errno.EDEADLK, fcntl.lockf, f, EX, 1, 1); fcntl.lockf(f, UN, 1, 0); hears('got it'); p.wait()`,
  'a signal ends the waiting, and a killed process its locks': `
p, hears = other("fcntl.lockf(f, fcntl.LOCK_EX); fcntl.flock(f, fcntl.LOCK_EX); say('locked'); time.sleep(60)"); hears('locked')
class Alarm(Exception): pass
def ring(*_): raise Alarm()
signal.signal(signal.SIGALRM, ring)
for wait in (lambda: fcntl.lockf(f, EX), lambda: fcntl.flock(f, EX)):
    signal.setitimer(signal.ITIMER_REAL, 0.3); started = time.monotonic()
    try: wait()
    except Alarm: assert time.monotonic() - started < 20
    else: raise AssertionError('granted')
p.kill(); p.wait(); fcntl.lockf(f, EX); fcntl.flock(f, EX)`,
  'who opens a file after he has the lock sees what was closed before': `
count = '''
import fcntl, os, sys
name, own = sys.argv[1] + '.n', sys.argv[1] + '.' + str(os.getpid()); f = open(sys.argv[1], 'r+b')
for _ in range(12):
    fcntl.%s(f, fcntl.LOCK_EX)
    with open(name) as g: n = int(g.read())
    with open(own, 'w') as g: g.write(str(n + 1))
    os.rename(own, name); fcntl.%s(f, fcntl.LOCK_UN)
'''
for one in ('flock', 'lockf'):
    with open(here + '.n', 'w') as g: g.write('0')
    ps = [subprocess.Popen([sys.executable, '-c', count % (one, one), at]) for at in (here, there) for _ in range(2)]
    assert [p.wait() for p in ps] == [0] * 4 and open(here + '.n').read() == '48'`,
} as const;

const holding = 'import fcntl, sys, time\nf = open(sys.argv[1], "r+b"); fcntl.lockf(f, fcntl.LOCK_EX); print("locked", flush=True); time.sleep(60)';

describe('locks that mounts share', {skip: unmountable() ?? false}, () => {
  let [places, weir, second, third]: [string[], Weir | undefined, ChildProcess | undefined, OwnMount | undefined] = [[], undefined, undefined, undefined];

  const mountSecond = async (): Promise<void> => {
    second = spawn(process.execPath, ['--conditions=source', main, 'fuse', places[1]!, '--own-process', '-o', 'shared_locks', '--home', weir!.home], {stdio: ['ignore', 'pipe', 'inherit']});
    await once(second.stdout!, 'data');
  };

  before(async () => {
    places = await Promise.all([1, 2].map(() => mkdtemp(path.join(tmpdir(), 'weir-mount-'))));
    weir = await Weir.start({args: ['--fuse', places[0]!, '--fuse-options', 'shared_locks']});
    await mountSecond();
    third = await OwnMount.served(weir, '-o', 'shared_locks');
    places.push(third.place);
    await mkdir(path.join(places[0]!, 'box'));
  });

  after(async () => {
    second?.kill('SIGINT');
    if (second?.exitCode === null) await once(second, 'exit');
    await third?.[Symbol.asyncDispose]();
    await weir?.kill('SIGTERM');
    for (const place of places.slice(0, 2)) {
      await run('umount', ['-l', place]).catch(() => undefined);
      await rm(place, {recursive: true});
    }
    await weir?.[Symbol.asyncDispose]();
  });

  for (const [name, text] of Object.entries(scripts)) {
    for (const [way, order] of [['from the instance', [0, 1]], ['from a process of its own', [1, 0]], ['both by the instance', [2, 0]]] as const) {
      it(`${name} (${way})`, async () => {
        const file = path.join('box', `file-${way.length}-${name.length}`);
        await writeFile(path.join(places[0]!, file), 'text');
        await run('python3', ['-c', prelude + text, ...order.map(i => path.join(places[i]!, file))], {timeout: 60_000});
      });
    }
  }

  it('a mount of its own process says its locks again to a new instance', async () => {
    const file = path.join('box', 'again');
    await writeFile(path.join(places[0]!, file), 'text');
    const holder = spawn('python3', ['-c', holding, path.join(places[1]!, file)], {stdio: ['ignore', 'pipe', 'inherit']});
    await once(holder.stdout, 'data');
    await weir!.restart('SIGTERM');
    const attempt = 'import errno, fcntl, sys\ntry: fcntl.lockf(open(sys.argv[1], "r+b"), fcntl.LOCK_EX | fcntl.LOCK_NB)\nexcept OSError as e: print(errno.errorcode[e.errno])';
    await eventually('it is said again', async () => (await run('python3', ['-c', attempt, path.join(places[0]!, file)])).stdout === 'EAGAIN\n');
    holder.kill('SIGKILL');
    await eventually('it is let go', async () => (await run('python3', ['-c', attempt, path.join(places[0]!, file)])).stdout === '');
  });

  it('a mount that is killed, and kept no more, lets go of its locks', async () => {
    const file = path.join('box', 'killed');
    await writeFile(path.join(places[0]!, file), 'text');
    const holder = spawn('python3', ['-c', holding, path.join(places[1]!, file)], {stdio: ['ignore', 'pipe', 'inherit']});
    await once(holder.stdout, 'data');
    const waiting = run('python3', ['-c', 'import fcntl, sys\nf = open(sys.argv[1], "r+b"); fcntl.lockf(f, fcntl.LOCK_EX)', path.join(places[0]!, file)], {timeout: 30_000});
    second!.kill('SIGKILL');
    await once(second!, 'exit');
    process.kill((await keeperOf(places[1]!))!, 'SIGKILL');
    await waiting;
    holder.kill('SIGKILL');
    await run('umount', ['-l', places[1]!]);
    await mountSecond();
  });
});
