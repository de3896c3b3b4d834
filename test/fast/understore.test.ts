/** The under-store suite on everything that needs nothing installed. */
import {describeUnderStore} from '../conformance/understore.ts';
import {MemoryUnderStore} from '#understore/memory/memory-store.ts';

let ticks = 1n;
const clock = {nowNs: (): bigint => ticks++};
const make = (capabilities?: Partial<MemoryUnderStore['capabilities']>) => async () => ({
  store: new MemoryUnderStore({clock, ...(capabilities ? {capabilities} : {})}),
  dispose: async (): Promise<void> => {},
});

describeUnderStore('memory, as an object store', make());
describeUnderStore('memory, as a file system', make({directories: true, rename: 'tree', metadata: false, permissions: true, multipart: false}));
describeUnderStore('memory, with few capabilities', make({listAfter: false, orderedList: false, conditionalWrite: false, copy: false, multipart: false, rename: 'file'}));

