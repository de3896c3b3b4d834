/**
 * The block store with many small objects: memory an entry, hits at 10 k and at all of them, and how soon it answers and is warm after kill -9.
 * The goals: at most 64 B an entry, 1 s, 20 s, and a p99 at most twice that at 10 k.
 *
 *   node --conditions=source bench/micro/blockstore.ts [--entries 10000000]
 */
import assert from 'node:assert/strict';
import {execFileSync, spawn} from 'node:child_process';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import type {ContentId} from '#base/ids.ts';
import {GiB} from '#base/units.ts';
import type {BlockStore} from '#blockstore/block-store.ts';
import {openBlockStore} from '#blockstore/open-block-store.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import {memoryUse} from '#runtime/node/process.ts';

const argument = (name: string) => process.argv[process.argv.indexOf(name) + 1];
const entries = process.argv.includes('--entries') ? Number(argument('--entries')) : 10_000_000;
const fewEntries = 10_000;
const hits = 50_000;
const inFlight = 1024;

const contentOf = (id: number) => ({id: id as ContentId, length: 100 + (Math.imul(id, 0x9e3779b1) >>> 0) % 901});

function bytesOf(id: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length).fill(id & 0xff);
  bytes.writeDoubleLE(id, 0);
  return bytes;
}

const openIn = (directory: string): Promise<BlockStore> =>
  openBlockStore({runtime: createNodeRuntime({log: {level: 'warn'}}), tiers: [{name: 'SSD', directory, quotaBytes: entries * 700 + GiB}]});

interface HitTimes {
  readonly p50: number;
  readonly p99: number;
  /** Share answered without a thread: the rest was not in the page cache, and waited for a thread and a disk. */
  readonly onTheSpot: number;
  /** Of those alone. */
  readonly p99OnTheSpot: number;
}

/** Of small reads over the first `among` entries in random order; times in µs. */
async function hitTimes(store: BlockStore, among: number): Promise<HitTimes> {
  const times = new Float64Array(hits);
  const onTheSpot: number[] = [];
  for (let i = 0; i < 2 * hits; i++) {
    const content = contentOf(1 + Math.floor(Math.random() * among));
    const started = performance.now();
    let bytes = store.readResident(content, 0, content.length);
    const resident = bytes !== undefined;
    bytes ??= await store.read(content, 0, content.length);
    // The first half warms up.
    if (i >= hits) times[i - hits] = (performance.now() - started) * 1000;
    if (i >= hits && resident) onTheSpot.push(times[i - hits]!);
    assert.equal(Buffer.from(bytes!.buffer, bytes!.byteOffset, bytes!.length).readDoubleLE(0), content.id);
  }
  times.sort();
  const spot = Float64Array.from(onTheSpot).sort();
  return {p50: times[hits / 2]!, p99: times[Math.floor(hits * 0.99)]!, onTheSpot: spot.length / hits, p99OnTheSpot: spot[Math.floor(spot.length * 0.99)] ?? NaN};
}

const shown = ({p50, p99, onTheSpot, p99OnTheSpot}: HitTimes) => `p50 ${p50.toFixed(1)} µs, p99 ${p99.toFixed(1)} µs, ${(onTheSpot * 100).toFixed(2)} % on the spot (of those p99 ${p99OnTheSpot.toFixed(1)} µs)`;
const perEntry = (bytes: number) => `${(bytes / entries).toFixed(1)} B`;

async function fill(directory: string): Promise<void> {
  const store = await openIn(directory);
  const enter = async (from: number, to: number) => {
    for (let id = from; id < to; id += inFlight) {
      const group = Array.from({length: Math.min(inFlight, to - id)}, (_, i) => contentOf(id + i));
      const kept = await Promise.all(group.map((content) => store.fill(content, 0, [bytesOf(content.id, content.length)])));
      assert.ok(kept.every(Boolean));
    }
  };
  const few = Math.min(fewEntries, entries);
  await enter(1, few + 1);
  const atFew = await hitTimes(store, few);
  const memory = memoryUse().anonymousBytes;
  const started = performance.now();
  await enter(few + 1, entries + 1);
  const seconds = (performance.now() - started) / 1000;
  const raw = memoryUse().anonymousBytes - memory;
  await sleep(2000);
  // What the system still has to write would be measured with the hits.
  execFileSync('sync');
  const settled = memoryUse().anonymousBytes - memory;
  const atAll = await hitTimes(store, entries);
  console.log(`entered ${entries} in ${seconds.toFixed(1)} s (${((entries - few) / seconds).toFixed(0)}/s); index ${perEntry(store.status().indexBytes)} an entry`);
  console.log(`RssAnon ${perEntry(raw)} an entry just after, ${perEntry(settled)} settled`);
  console.log(`hits at ${few}: ${shown(atFew)}; at ${entries}: ${shown(atAll)}; p99 × ${(atAll.p99 / atFew.p99).toFixed(2)}, on the spot × ${(atAll.p99OnTheSpot / atFew.p99OnTheSpot).toFixed(2)}`);
  process.kill(process.pid, 'SIGKILL');
}

async function restart(directory: string): Promise<void> {
  const memory = memoryUse().anonymousBytes;
  const started = performance.now();
  const since = () => `${((performance.now() - started) / 1000).toFixed(2)} s`;
  const store = await openIn(directory);
  await store.read(contentOf(1), 0, 1);
  const answered = since();
  let longest = 0;
  for (let last = performance.now(); !store.warm; ) {
    await sleep(1);
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }
  console.log(`after kill -9: first answer in ${answered}, warm in ${since()} with ${store.status().contents} contents; the loop was away ${longest.toFixed(0)} ms at most`);
  assert.equal(store.status().contents, entries);
  console.log(`hits then: ${shown(await hitTimes(store, entries))}; RssAnon ${perEntry(memoryUse().anonymousBytes - memory)} an entry`);
  await store.close();
}

const role = process.argv.includes('--role') ? argument('--role') : undefined;
if (role === 'fill') await fill(argument('--directory')!);
else if (role === 'restart') await restart(argument('--directory')!);
else {
  const directory = await mkdtemp(path.join(tmpdir(), 'weir-bench-'));
  const run = (as: string) =>
    new Promise<void>((resolve, reject) => {
      const child = spawn(process.execPath, [...process.execArgv, import.meta.filename, '--entries', String(entries), '--role', as, '--directory', directory], {stdio: 'inherit'});
      child.on('exit', (code, signal) => (code === 0 || (as === 'fill' && signal === 'SIGKILL') ? resolve() : reject(new Error(`${as} ended with ${code ?? signal}`))));
    });
  try {
    await run('fill');
    await run('restart');
  } finally {
    await rm(directory, {recursive: true});
  }
}
