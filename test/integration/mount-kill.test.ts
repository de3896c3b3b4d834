/**
 * kill -9 of the daemon while programs work on its mount, at any moment and between a commit and its answer: no program sees an error, nothing is
 * done twice, nothing is lost (mount-kill.py says what they do, and what they check). Then fsx, which compares every byte, under the same.
 *
 * Six kills each by default; WEIR_TEST_KILLS=N does more, and WEIR_TEST_LOCKS=shared_locks (or noshared_locks) sets whose the locks are. Needs root, /dev/fuse and python3.
 */
import assert from 'node:assert/strict';
import {spawn, spawnSync} from 'node:child_process';
import {mkdir, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {describe, it} from 'node:test';
import {setTimeout as sleep} from 'node:timers/promises';
import {type WriteType, writeTypes} from '#model/mount.ts';
import {fsxProgram, runFsx} from '../conformance/posix/fsx.ts';
import {unmountable} from '../conformance/posix/places.ts';
import {need} from '../servers/tools.ts';
import {seededRandom, Weir} from './harness.ts';
import {OwnMount} from './own-mount.ts';

const kills = Number(process.env['WEIR_TEST_KILLS'] ?? 6);
const seed = Number(process.env['WEIR_TEST_SEED'] ?? Date.now() % 1e9);
const crashing = `--import ${new URL('crash-at-reply.ts', import.meta.url).href}`;
/** Locks by the kernel, and by the master. */
const locksOf = (writeType: WriteType): string => process.env['WEIR_TEST_LOCKS'] ?? (writeType === 'CACHE_THROUGH' ? 'noshared_locks' : 'shared_locks');
/** How long a daemon that ends by itself may live. */
const crashMsMax = 4_000;
/** Of a test: a start takes seconds, on a busy machine more. */
const msMax = 300_000 + kills * 40_000;

function missing(): string | false {
  const why = unmountable();
  if (why !== undefined) return why;
  return spawnSync('python3', ['-c', 'import sqlite3, fcntl']).status === 0 ? false : 'needs python3 with sqlite3';
}

interface Outcome {
  readonly status: number | null;
  readonly out: string;
  readonly said: string;
}

function program(what: string, directory: string, stop: string, number: number): Promise<Outcome> {
  const child = spawn('python3', [path.join(import.meta.dirname, 'mount-kill.py'), what, directory, stop, String(number)], {stdio: ['ignore', 'pipe', 'pipe']});
  let [out, said] = ['', ''];
  child.stdout.on('data', (bytes: Buffer) => (out += bytes.toString()));
  child.stderr.on('data', (bytes: Buffer) => (said += bytes.toString()));
  return new Promise(resolve => child.once('close', status => resolve({status, out, said})));
}

/** Lets the daemon die, again and again, while `until` is not done. */
async function killing(weir: Weir, env: Record<string, string>, until: () => boolean): Promise<void> {
  const random = seededRandom(seed);
  for (let kill = 0; kill < kills && !until(); kill++) {
    // Every other one dies by its own hand, between a commit and its answer.
    const own = kill % 2 === 1;
    const dies = Date.now() + (own ? crashMsMax : 200 + random() * 1_500);
    while (weir.running && Date.now() < dies) await sleep(20);
    await weir.kill();
    if (own) delete env['NODE_OPTIONS'];
    else env['NODE_OPTIONS'] = crashing;
    while (!weir.running) await weir.up().catch((error: unknown) => {
      // It may be its fate before it has said that it is ready.
      if (!/SIGKILL/.test(String(error))) throw error;
    });
  }
  // The last one stays.
  delete env['NODE_OPTIONS'];
  await weir.restart();
}

/** How a mount of its own process loses that, or its instance. */
const ends: readonly ((weir: Weir, mount: OwnMount) => Promise<void>)[] = [
  async (_, mount) => {
    await mount.end();
    await mount.up();
  },
  async weir => {
    await weir.kill();
    await weir.up();
  },
  async (weir, mount) => {
    await Promise.all([mount.end(), weir.kill()]);
    await weir.up();
    await mount.up();
  },
  // By its own hand, between a commit and its answer.
  async (_, mount) => {
    await mount.end('SIGUSR2');
    mount.env = {NODE_OPTIONS: crashing};
    // It may be its fate before it is mounted.
    await mount.up().catch(() => undefined);
    const late = Date.now() + crashMsMax;
    while (mount.running && Date.now() < late) await sleep(20);
    await mount.end();
    mount.env = {};
    await mount.up();
  },
  // To make room for the next one.
  async (_, mount) => {
    await mount.end('SIGUSR2');
    await mount.up();
  },
  async weir => {
    await weir.kill('SIGUSR2');
    await weir.up();
  },
];

/** Lets the mount's process die, its instance, or both, again and again, while `until` is not done. */
async function killingOwn(weir: Weir, mount: OwnMount, until: () => boolean): Promise<void> {
  const random = seededRandom(seed);
  for (let kill = 0; kill < kills && !until(); kill++) {
    await sleep(200 + random() * 1_500);
    await ends[kill % ends.length]!(weir, mount);
  }
}

/** What programs do on a mount, all at once, while `kill` does its work; and what they check. */
async function survived(weir: Weir, box: string, kill: (until: () => boolean) => Promise<void>): Promise<void> {
  const outside = await mkdtemp(path.join(tmpdir(), 'weir-stop-'));
  const stop = path.join(outside, 'stop');
  const what = ['names', 'names', 'append', 'lock', 'lock', 'remove', 'sqlite'];
  let failed = false;
  const outcomes = what.map(async (name, i) => {
    const directory = path.join(box, name === 'lock' ? name : `${name}-${i}`);
    await mkdir(directory, {recursive: true});
    const outcome = await program(name, directory, stop, seed + i);
    failed ||= outcome.status !== 0;
    return outcome;
  });
  await sleep(500);
  await kill(() => failed);
  await writeFile(stop, '');
  const ended = await Promise.all(outcomes);
  for (const [i, {status, said}] of ended.entries()) assert.equal(status, 0, `${what[i]}: ${said}\n${weir.log.slice(-2000)}`);
  const raised = ended.reduce((sum, {out}) => sum + Number(out || 0), 0);
  assert.equal(Number(await readFile(path.join(box, 'lock', 'counter'), 'utf8')), raised, 'each raised it under its lock');
  await rm(outside, {recursive: true});
}

/** What fsx has written is what it reads, while `kill` does its work. */
async function unchanged(fsx: string, box: string, kill: (until: () => boolean) => Promise<void>): Promise<void> {
  let ended = false;
  const running = runFsx(fsx, box, 'sparse', {seed: seed % 1000, operations: 300 * kills, msMax: msMax - 60_000}).finally(() => (ended = true));
  await kill(() => ended);
  const {state, why} = await running;
  assert.equal(state, 'passed', why);
}

describe(`kill -9 of a mount of its own process, of its instance, and of both (seed ${seed})`, {skip: missing(), timeout: 2 * msMax}, () => {
  async function mounted(use: (weir: Weir, mount: OwnMount) => Promise<void>): Promise<void> {
    await using weir = await Weir.start({args: []});
    await weir.s3.must('PUT', '/box');
    await using mount = await OwnMount.start(weir, '-o', 'shared_locks');
    await use(weir, mount);
  }

  it('fails no program, does nothing twice and loses nothing', async () => {
    await mounted((weir, mount) => survived(weir, mount.at(), until => killingOwn(weir, mount, until)));
  });

  it('changes no byte that fsx has written', async context => {
    const fsx = await need('fsx', 'random operations on a mount whose process is killed', fsxProgram);
    if (fsx === undefined) return context.skip('needs fsx');
    await mounted((weir, mount) => unchanged(fsx, mount.at(), until => killingOwn(weir, mount, until)));
  });
});

it(`kill -9 of an instance that serves two mounts, and of who supervises one, fails no program on either, does nothing twice and loses nothing (seed ${seed})`, {skip: missing(), timeout: 2 * msMax}, async () => {
  const place = await mkdtemp(path.join(tmpdir(), 'weir-kill-'));
  await using weir = await Weir.start({args: ['--fuse', place, '--fuse-options', 'shared_locks']});
  try {
    for (const box of ['/box', '/other']) await weir.s3.must('PUT', box);
    await using mount = await OwnMount.served(weir, '-o', 'shared_locks');
    const killed = Promise.withResolvers<void>();
    await Promise.all([
      survived(weir, path.join(place, 'other'), until => killingOwn(weir, mount, until).finally(() => killed.resolve())),
      survived(weir, mount.at(), () => killed.promise),
    ]);
  } finally {
    await weir.kill('SIGTERM');
    spawnSync('umount', ['-l', place]);
    await rm(place, {recursive: true});
  }
});

for (const writeType of writeTypes) describe(`kill -9 under a mount, written as ${writeType} (seed ${seed})`, {skip: missing(), timeout: 2 * msMax}, () => {
  async function mounted(use: (weir: Weir, box: string, env: Record<string, string>) => Promise<void>): Promise<void> {
    const place = await mkdtemp(path.join(tmpdir(), 'weir-kill-'));
    const env: Record<string, string> = {};
    await using weir = await Weir.start({args: ['--write-type', writeType, '--fuse', place, '--fuse-options', locksOf(writeType)], env});
    try {
      await weir.s3.must('PUT', '/box');
      await use(weir, path.join(place, 'box'), env);
    } finally {
      await weir.kill('SIGTERM');
      spawnSync('umount', ['-l', place]);
      await rm(place, {recursive: true});
    }
  }

  it('fails no program, does nothing twice and loses nothing', async () => {
    await mounted((weir, box, env) => survived(weir, box, until => killing(weir, env, until)));
  });

  it('changes no byte that fsx has written', async context => {
    const fsx = await need('fsx', 'random operations on a mount whose daemon is killed', fsxProgram);
    if (fsx === undefined) return context.skip('needs fsx');
    await mounted((weir, box, env) => unchanged(fsx, box, until => killing(weir, env, until)));
  });
});
