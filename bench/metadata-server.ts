/**
 * A master of its own process for the metadata bench: the real metastore on LMDB and the real wire, over a store that says yes to everything, with a
 * tree made before. Arguments: the number of files. Prints its address as JSON when ready; ends with its stdin.
 */
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {isDirectoryRow} from '#codec/namespace/directory-rows.ts';
import {rootPrincipal, systemContext} from '#contracts/context.ts';
import {masterWire} from '#contracts/wire.ts';
import {Master} from '#master/master.ts';
import {openLmdbEngine} from '#metastore/lmdb/lmdb-engine.ts';
import {openMetastore} from '#metastore/open-metastore.ts';
import {rpcService} from '#rpc/served-calls.ts';
import {serveRpc} from '#rpc/server.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import {MemoryUnderStore} from '#understore/memory/memory-store.ts';
import type {StoreCallOptions, StoreObject} from '#understore/under-store.ts';
import {directoryOf, filesPerDirectory, load} from './micro/namespace.ts';

/** The objects of this bench exist in the namespace only; whatever is asked of below `new/` is there. */
class WillingStore extends MemoryUnderStore {
  override rename(): Promise<void> {
    return Promise.resolve();
  }

  override async stat(key: ByteString, options: StoreCallOptions): Promise<StoreObject | undefined> {
    return key.startsWith('new/') ? {key, kind: 'file', length: 4096, fingerprint: key, etag: key, modified: 0n, checksums: {}} : await super.stat(key, options);
  }
}

const uri = 'mem://bench/';
const files = Number(process.argv[2]);
const runtime = createNodeRuntime({log: {level: 'error'}});
const directory = await mkdtemp(path.join(tmpdir(), 'weir-bench-'));
const engine = await openLmdbEngine(runtime.disk, path.join(directory, 'state'));
const metastore = await openMetastore({runtime, directory: path.join(directory, 'log'), engine, recalled: isDirectoryRow});
const store = new WillingStore({clock: runtime.clock, capabilities: {directories: true, rename: 'tree'}});
const master = await Master.open({
  metastore, runtime, root: {uri, options: {}},
  stores: {schemes: ['mem'], describe: () => Promise.resolve({place: uri, defaultName: 'mem', secrets: []}), open: () => Promise.resolve(store)},
});
for (let i = 0; i < files; i += filesPerDirectory) await master.makeDirectory(directoryOf(i), {parents: true, existing: 'keep'}, systemContext);
await master.makeDirectory('/new' as ByteString, {}, systemContext);
await load(metastore, files);

const secret = 'of this bench';
const server = await serveRpc(runtime, {
  address: {host: '127.0.0.1', port: 0},
  services: [rpcService('master', masterWire, master)],
  lookup: accessKeyId => {
    if (accessKeyId !== 'bench') throw new WeirError('Unauthenticated', accessKeyId);
    return {secret, principal: rootPrincipal};
  },
});
process.stdout.write(`${JSON.stringify({address: server.address, accessKeyId: 'bench', secretAccessKey: secret})}\n`);
process.stdin.resume();
process.stdin.once('end', () => {
  void (async () => {
    await server[Symbol.asyncDispose]();
    await master.close();
    await metastore.close();
    await rm(directory, {recursive: true});
    process.exit(0);
  })();
});
