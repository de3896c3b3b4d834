/**
 * weir demo: nothing to install, no account. A pretend-remote store (this project's own S3 over a folder, behind a link of 25 ms and 200 MB/s),
 * read directly, the first time through Weir, and the second time through Weir, by the same S3 client.
 */
import type {ByteString} from '#base/byte-string.ts';
import {asciiBytes} from '#base/byte-string.ts';
import {formatDuration, formatSize, MiB} from '#base/units.ts';
import type {Terminal} from '#cli/environment.ts';
import {explainText} from '#cli/explain.ts';
import {table} from '#cli/output.ts';
import {Progress} from '#cli/progress.ts';
import {type CallContext, systemContext} from '#contracts/context.ts';
import type {FileSystem} from '#client/file-system.ts';
import {connectFiles} from '#process/connect.ts';
import {connectors} from '#process/connectors.ts';
import {bytesPerSecond, type RemoteStarted, rttMs} from '#process/demo-remote.ts';
import {startEmbedded} from '#process/embedded.ts';
import type {Http} from '#runtime/http.ts';
import {startChild} from '#runtime/node/child.ts';
import {createHttp} from '#runtime/node/http/node-http.ts';
import type {LinkCounters} from '#runtime/node/link/link.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import {processFacts} from '#runtime/node/process.ts';
import {makeTemporaryDirectory, removeTree} from '#runtime/node/temporary.ts';
import type {Runtime} from '#runtime/runtime.ts';
import {createStoreRegistry} from '#understore/registry.ts';
import type {UnderStore} from '#understore/under-store.ts';

const bucket = 'faraway';
const fileBytes = 16 * MiB;

const keyOf = (i: number): ByteString => asciiBytes(`data/part-${String(i).padStart(4, '0')}.bin`);

interface Measured {
  readonly name: string;
  readonly seconds: number;
  readonly bytes: number;
  readonly requests: number;
  readonly fetched: number;
}

export interface DemoOptions {
  readonly megabytes: number;
  readonly version: string;
  /** Ends it early; what it wrote is removed all the same. */
  readonly signal: AbortSignal;
}

export async function runDemo(terminal: Terminal, options: DemoOptions): Promise<void> {
  const directory = await makeTemporaryDirectory('weir-demo-');
  try {
    await demonstrate(terminal, options, directory);
  } finally {
    await removeTree(directory);
  }
}

async function demonstrate(terminal: Terminal, {megabytes, version, signal}: DemoOptions, directory: string): Promise<void> {
  const runtime = createNodeRuntime({log: {level: 'silent'}});
  const http = createHttp();
  const files = Math.max(1, Math.round((megabytes * 1_000_000) / fileBytes));
  const total = files * fileBytes;
  const anyPort = {host: '127.0.0.1', s3Port: 0, httpPort: 0, rpcPort: 0, disks: []};
  const about = {version, pid: processFacts.id, variables: {}};

  await terminal.out(`A store ${rttMs} ms away behind ${bytesPerSecond / 1e6} MB/s, with ${files} files of ${formatSize(fileBytes)}:\n`);
  await using child = startChild(new URL(import.meta.resolve('#process/demo-remote-main.ts')));
  const remote = (await child.ask({home: `${directory}/remote`, version})) as RemoteStarted;
  const context = {...systemContext, signal};
  {
    await using store = connectFiles(runtime, remote.rpc, remote.key);
    await store.makeDirectory(asciiBytes(`/${bucket}/`), {}, context);
    await fill(terminal, runtime, store, files, context);
  }
  const far = `http://${remote.link.host}:${remote.link.port}`;
  const credentials = {...remote.key, region: 'us-east-1'};
  const uris = [{uri: `s3://${bucket}`, options: {endpoint: far, ...credentials}}];
  // A runtime of its own: two instances in one process have each their own metrics.
  const near = createNodeRuntime({log: {level: 'silent'}});
  await using weir = await startEmbedded({...about, home: `${directory}/weir`, up: {...anyPort, uris}}, {runtime: near, http, signal});
  const own = {accessKeyId: weir.key.accessKeyId, secretAccessKey: weir.key.secretAccessKey, region: 'us-east-1'};

  const rows: Measured[] = [];
  for (const [name, endpoint, keys] of [
    ['directly', far, credentials],
    ['through Weir, first time', weir.info.s3, own],
    ['through Weir, second time', weir.info.s3, own],
  ] as const) {
    await using store = await openS3(runtime, http, {endpoint, ...keys});
    const before = (await child.ask('counters')) as LinkCounters;
    const started = runtime.clock.monotonicMs();
    const bytes = await readAll(terminal, runtime, store, {label: name, files, total, signal});
    const seconds = (runtime.clock.monotonicMs() - started) / 1000;
    const after = (await child.ask('counters')) as LinkCounters;
    rows.push({name, seconds, bytes, requests: after.requests - before.requests, fetched: after.bytesDown - before.bytesDown});
  }

  const [direct] = rows;
  const lines = rows.map((row) => [
    row.name,
    formatDuration(row.seconds * 1000),
    `${Math.round(row.bytes / 1e6 / row.seconds)} MB/s`,
    `${(direct!.seconds / row.seconds).toFixed(1)} ×`,
    String(row.requests),
    formatSize(row.fetched),
  ]);
  await terminal.out(`\n${table(['READ', 'TIME', 'SPEED', 'FASTER', 'REQUESTS', 'OVER THE LINK'], lines, [1, 2, 3, 4, 5])}\n`);
  const explanation = await weir.files.explain(asciiBytes(`/${bucket}/${keyOf(0)}`), {kind: 'file'}, systemContext);
  await terminal.out(`$ weir explain /${bucket}/${keyOf(0)}\n${explainText(explanation, near.clock.nowMs())}`);
}

async function openS3(runtime: Runtime, http: Http, options: Readonly<Record<string, string>>): Promise<UnderStore> {
  const {disk, clock, random} = runtime;
  return createStoreRegistry(connectors, {disk, clock, random, http, variables: {}}, createNodeRuntime({log: {level: 'silent'}}).metrics).open(`s3://${bucket}`, options);
}

async function fill(terminal: Terminal, runtime: Runtime, store: FileSystem, files: number, context: CallContext): Promise<void> {
  using progress = new Progress(terminal, runtime.clock, 'write', files * fileBytes);
  const block = Buffer.from(runtime.random.bytes(MiB));
  for (let i = 0; i < files; i++) {
    const writer = await store.create(asciiBytes(`/${bucket}/${keyOf(i)}`), {kind: 'file', length: fileBytes}, context);
    for (let at = 0; at < fileBytes; at += block.length) {
      const chunk = Buffer.from(block);
      chunk.writeUInt32LE(i, 0);
      chunk.writeUInt32LE(at, 4);
      await writer.write(chunk);
      progress.add(chunk.length);
    }
    await writer.commit({length: fileBytes});
  }
}

/** One file after the other, as a program that reads a table does. */
async function readAll(
  terminal: Terminal, runtime: Runtime, store: UnderStore, {label, files, total, signal}: {readonly label: string; readonly files: number; readonly total: number; readonly signal: AbortSignal},
): Promise<number> {
  using progress = new Progress(terminal, runtime.clock, label, total);
  let bytes = 0;
  for (let i = 0; i < files; i++) {
    const {body} = await store.read(keyOf(i), {}, {signal});
    for await (const chunk of body) {
      bytes += chunk.length;
      progress.add(chunk.length);
    }
  }
  return bytes;
}
