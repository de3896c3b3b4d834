/**
 * Metadata operations a second: of the metastore beside bare LMDB, of the namespace in process, and of the master by the wire with 64 calls in
 * flight on one connection, in a small and in a large tree.
 */
import {spawn} from 'node:child_process';
import path from 'node:path';
import {createInterface} from 'node:readline';
import type {ByteString} from '#base/byte-string.ts';
import {systemContext} from '#contracts/context.ts';
import type {MasterApi} from '#contracts/master-api.ts';
import {masterWire} from '#contracts/wire.ts';
import {RpcClient, type RpcClientOptions} from '#rpc/client.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import type {BenchOptions} from './bench.ts';
import {compareCommits} from './micro/metastore.ts';
import {directoryOf, measureNamespace, movedSuffix, pathOf} from './micro/namespace.ts';
import {cpuSeconds} from './processes.ts';
import {atLeast, atMost, type Goal, number, type Row, type Section} from './report.ts';

const inFlight = 64;
const slowerMax = 2;
const entriesPerList = 100;
/** Half of what an HDFS 3.5 NameNode spends on an operation, measured on a machine of this kind: µs of CPU. */
const halfOfNameNode = {stat: 26, create: 112, rename: 58} as const;
const perSecondGoals: Readonly<Record<string, number>> = {create: 10_000, stat: 50_000};

export async function metadata({quick, say}: BenchOptions): Promise<Section> {
  const sizes = quick ? ([1000, 3000] as const) : ([10_000, 1_000_000] as const);
  const seconds = quick ? 0.2 : 3;
  const rows: Row[] = [];
  for (const flying of [64, 256]) {
    say(`commits, ${flying} in flight`);
    const {bare, ours} = await compareCommits(flying, seconds);
    rows.push({
      what: `metastore, durable commits/s, ${flying} in flight: share of bare LMDB`, measured: `${number(ours.perSecond)} (${number(ours.cpu)} µs CPU)`, beside: `${number(bare.perSecond)} (${number(bare.cpu)} µs CPU)`,
      figure: ours.perSecond / bare.perSecond, goal: atLeast(0.6),
    });
  }
  rows.push(...(await inProcess(sizes, seconds, say)), ...(await byWire(sizes, seconds, say)));
  return {
    name: 'metadata', title: 'Metadata', rows,
    notes: [
      `creates, renames: each answered when durable, ${inFlight} in flight; a create by the wire is three calls (begin, prepare, commit), over a store that answers at once`,
      `small and large tree: ${number(sizes[0])} and ${number(sizes[1])} files`,
    ],
  };
}

async function inProcess(sizes: readonly [number, number], seconds: number, say: BenchOptions['say']): Promise<Row[]> {
  say('namespace in process, small tree');
  const small = await measureNamespace(sizes[0], seconds);
  say('namespace in process, large tree');
  const large = await measureNamespace(sizes[1], seconds);
  return Object.keys(small).map(name => (
    {what: `in process, ${name}/s in the large tree: times slower than in the small one`, measured: number(large[name]!), beside: number(small[name]!), figure: small[name]! / large[name]!, goal: atMost(slowerMax)}
  ));
}

interface WireRate {
  readonly perSecond: number;
  /** µs of the server's CPU for each. */
  readonly cpu: number;
}

async function byWire(sizes: readonly [number, number], seconds: number, say: BenchOptions['say']): Promise<Row[]> {
  say('by the wire, small tree');
  const small = await measureWire(sizes[0], seconds);
  say('by the wire, large tree');
  const large = await measureWire(sizes[1], seconds);
  return Object.keys(small).flatMap((name): Row[] => {
    const [s, l] = [small[name]!, large[name]!];
    const least = perSecondGoals[name];
    const cpuMax = (halfOfNameNode as Readonly<Record<string, number>>)[name];
    const goal: {goal?: Goal} = least === undefined ? {} : {goal: atLeast(least)};
    return [
      {what: `by the wire, ${name}/s, small tree`, measured: `${number(s.perSecond)}`, beside: '', figure: s.perSecond, ...goal},
      ...(cpuMax === undefined ? [] : [{what: `by the wire, µs of CPU of a ${name}`, measured: number(s.cpu), beside: `${cpuMax * 2} of an HDFS NameNode`, figure: s.cpu, goal: atMost(cpuMax)}]),
      {what: `by the wire, ${name}/s in the large tree: times slower`, measured: number(l.perSecond), beside: number(s.perSecond), figure: s.perSecond / l.perSecond, goal: atMost(slowerMax)},
    ];
  });
}

async function measureWire(files: number, seconds: number): Promise<Record<string, WireRate>> {
  const child = spawn(process.execPath, ['--conditions=source', path.join(import.meta.dirname, 'metadata-server.ts'), String(files)], {stdio: ['pipe', 'pipe', 'inherit']});
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()));
  const ready = await createInterface({input: child.stdout})[Symbol.asyncIterator]().next();
  if (ready.done === true) throw new Error('the metadata server did not start');
  try {
    await using client = new RpcClient(createNodeRuntime({log: {level: 'error'}}), JSON.parse(ready.value) as RpcClientOptions);
    const master = client.stub<MasterApi>('master', masterWire);
    const rate = (run: (i: number) => Promise<unknown>): Promise<WireRate> => rateOf(child.pid!, seconds, run);
    const any = (i: number): number => (i * 7919) % files;
    const created = (i: number): ByteString => `/new/file-${String(i).padStart(9, '0')}` as ByteString;
    const stat = await rate(i => master.stat(pathOf(any(i)), {kind: 'file'}, systemContext));
    const list = await rate(i => {
      const at = pathOf(any(i));
      return master.list({directory: directoryOf(any(i)), view: 'children', limit: entriesPerList, after: at.slice(at.lastIndexOf('/') + 1) as ByteString}, systemContext);
    });
    const made = await rate(i => create(master, created(i)));
    const total = Math.floor(made.perSecond * seconds);
    // There and back again.
    const rename = await rate(i => {
      const names = [created(i % total), `${created(i % total)}${movedSuffix}` as ByteString] as const;
      const back = Math.floor(i / total) % 2;
      return master.rename(names[back]!, names[1 - back]!, {replace: false, kind: 'file'}, systemContext);
    });
    return {stat, [`list of ${entriesPerList}`]: list, create: made, rename};
  } finally {
    child.stdin.end();
    await ended;
  }
}

async function create(master: MasterApi, at: ByteString): Promise<void> {
  const ticket = await master.beginWrite(at, {}, systemContext);
  await master.prepareCommit(ticket, systemContext);
  const etag = String(ticket.writeId).padStart(32, '0');
  await master.commitWrite(ticket, {length: 4096, fingerprint: etag, etag, checksums: {}}, systemContext);
}

async function rateOf(serverPid: number, seconds: number, run: (i: number) => Promise<unknown>): Promise<WireRate> {
  let next = 0;
  const cpu = cpuSeconds(serverPid);
  const started = performance.now();
  await Promise.all(Array.from({length: inFlight}, async () => {
    while (performance.now() - started < seconds * 1000) await run(next++);
  }));
  const elapsed = (performance.now() - started) / 1000;
  return {perSecond: next / elapsed, cpu: ((cpuSeconds(serverPid) - cpu) * 1e6) / next};
}
