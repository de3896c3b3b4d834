/** The under-store suite on everything that needs nothing installed. */
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {connector as file} from '#connectors/file/connector.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import {MemoryUnderStore} from '#understore/memory/memory-store.ts';
import {describeUnderStore} from '../conformance/understore.ts';
import {connectorEnvironment} from '../servers/environment.ts';

let ticks = 1n;
const clock = {nowNs: (): bigint => ticks++};
const make = (capabilities?: Partial<MemoryUnderStore['capabilities']>) => async () => ({
  store: new MemoryUnderStore({clock, ...(capabilities ? {capabilities} : {})}),
  dispose: async (): Promise<void> => {},
});

describeUnderStore('memory, as an object store', make());
describeUnderStore('memory, as a file system', make({directories: true, rename: 'tree', metadata: false, permissions: true, multipart: false}));
describeUnderStore('memory, with few capabilities', make({listAfter: false, orderedList: false, conditionalWrite: false, copy: false, multipart: false, rename: 'file'}));

describeUnderStore('file', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'weir-file-'));
  const store = await file.open(`file://${directory}`, {}, connectorEnvironment(createNodeRuntime()));
  return {store, dispose: () => rm(directory, {recursive: true})};
});
