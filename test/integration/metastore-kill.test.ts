/**
 * kill -9 of a real process on a real disk, at random moments: what it called safe is there afterwards, whole and with nothing between.
 * The simulator tries far more moments; this one tries the machine.
 */
import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {createInterface} from 'node:readline';
import {it} from 'node:test';
import type {ByteString} from '#base/byte-string.ts';
import {openLmdbEngine} from '#metastore/lmdb/lmdb-engine.ts';
import {openMetastore} from '#metastore/open-metastore.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';

const kills = 8;
const keys = 97;
/** Long enough for batches of the engine, and for many segments made and cut. */
const lifeMsMax = 600;
const committer = path.join(import.meta.dirname, '..', 'fixtures', 'committer.ts');
const runtime = createNodeRuntime({log: {level: 'error'}});

/** Lets a process commit for `lifeMs` after its first answer and kills it; the last number that it called safe. */
async function killedCommitter(directory: string, lifeMs: number): Promise<number> {
  const {NODE_TEST_CONTEXT: _, ...env} = process.env;
  const child = spawn(process.execPath, ['--conditions=source', committer, directory], {env, stdio: ['ignore', 'pipe', 'inherit']});
  const closed = once(child, 'close');
  let last = 0;
  let timer: NodeJS.Timeout | undefined;
  for await (const line of createInterface(child.stdout)) {
    // The committers' lines come in any order, each whole: a pipe takes short writes at once.
    last = Math.max(last, Number(line));
    timer ??= setTimeout(() => child.kill('SIGKILL'), lifeMs);
  }
  clearTimeout(timer);
  const [, signal] = await closed;
  assert.equal(signal, 'SIGKILL', 'the committer ended by itself');
  return last;
}

/** Opens what is left and states that it is just what the first n transactions make; n. */
async function verify(directory: string): Promise<number> {
  const engine = await openLmdbEngine(runtime.disk, path.join(directory, 'state'));
  await using store = await openMetastore({runtime, directory: path.join(directory, 'log'), engine});
  const {sequence} = store.status();
  const found = store.read((reader) => Array.from(reader.range({from: 'k' as ByteString, to: 'm' as ByteString}), ({key, value}) => [key, Buffer.from(value).toString()])).result;
  const valueOf = (number: number) => String(number).padEnd(number % 700);
  const expected = new Map<string, string>([['last', valueOf(sequence)]]);
  for (let number = Math.max(1, sequence - keys + 1); number <= sequence; number++) expected.set(`key ${number % keys}`, valueOf(number));
  assert.deepEqual(new Map(found as [string, string][]), expected);
  return sequence;
}

it('closes in a process that waits for nothing else', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'weir-close-'));
  try {
    const {NODE_TEST_CONTEXT: _, ...env} = process.env;
    const child = spawn(process.execPath, ['--conditions=source', committer, directory, '3'], {env, stdio: ['ignore', 'ignore', 'inherit']});
    const [code] = await once(child, 'exit');
    assert.equal(code, 0);
    assert.equal(await verify(directory), 3);
  } finally {
    await rm(directory, {recursive: true});
  }
});

it('loses nothing that was called safe, when its process is killed', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'weir-kill-'));
  try {
    let before = 0;
    for (let i = 1; i <= kills; i++) {
      const safe = await killedCommitter(directory, Math.random() ** 2 * lifeMsMax);
      assert.ok(safe > before, 'it had come to something');
      const sequence = await verify(directory);
      assert.ok(sequence >= safe, `transaction ${safe} was safe, and only ${sequence} are there`);
      before = sequence;
    }
  } finally {
    await rm(directory, {recursive: true});
  }
});
