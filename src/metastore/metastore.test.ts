import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {openLmdbEngine} from '#metastore/lmdb/lmdb-engine.ts';
import {MemoryMedium, memoryEngine} from '#metastore/memory/memory-engine.ts';
import {openMetastore} from '#metastore/open-metastore.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import {describeMetastore} from '../../test/conformance/metastore.ts';

const runtime = createNodeRuntime({log: {level: 'silent'}});

async function home(engine: (directory: string) => Promise<Parameters<typeof openMetastore>[0]['engine']>) {
  const directory = await mkdtemp(path.join(tmpdir(), 'weir-metastore-'));
  return {
    open: async () => openMetastore({runtime, directory: path.join(directory, 'log'), engine: await engine(directory)}),
    [Symbol.asyncDispose]: () => rm(directory, {recursive: true}),
  };
}

describeMetastore('LMDB', () => home((directory) => openLmdbEngine(runtime.disk, path.join(directory, 'state'))));

describeMetastore('memory', () => {
  const medium = new MemoryMedium();
  return home(() => Promise.resolve(memoryEngine(runtime, medium)));
});
