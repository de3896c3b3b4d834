/**
 * Where the cache lies. What is cached belongs to content ids, and those to one state of the metastore: so every tier is a directory
 * named by an identity that is made with the state. A restored or a new state begins with an empty cache, never with another's bytes.
 */
import {GiB} from '#base/units.ts';
import type {TierOptions} from '#blockstore/block-store.ts';
import type {UpOptions} from '#cli/environment.ts';
import type {Home} from '#process/home.ts';
import {readWhole, removeTree, writeWhole} from '#process/small-files.ts';
import type {Runtime} from '#runtime/runtime.ts';

const defaultShare = 0.2;
const defaultBytesMax = 100 * GiB;
const memoryDirectory = '/dev/shm';

export interface CacheTiers {
  readonly tiers: readonly TierOptions[];
  /** Gives back the memory of a memory tier; to be called when the block store is closed. */
  release(): Promise<void>;
}

/**
 * The tiers that the options name, from fastest to slowest; without any on disk one in the home, with a share of what was free at the
 * first start (a share of what is free now would shrink with what is cached).
 */
export async function cacheTiers({disk, random}: Pick<Runtime, 'disk' | 'random'>, home: Home, options: Pick<UpOptions, 'memoryBytes' | 'disks'>): Promise<CacheTiers> {
  const record = `${home.state}/cache.json`;
  let text = await readWhole(disk, record);
  if (text === undefined) {
    const {free} = await disk.space(home.directory);
    text = JSON.stringify({identity: random.id(), quotaBytes: Math.floor(Math.min(defaultBytesMax, free * defaultShare))});
    await writeWhole(disk, record, text);
  }
  const {identity, quotaBytes} = JSON.parse(text) as {identity: string; quotaBytes: number};
  const name = `weir-${identity}`;
  for (const other of await disk.readDirectory(home.cache)) if (other !== name) await removeTree(disk, `${home.cache}/${other}`);

  const memory = options.memoryBytes ? [{name: 'MEM', directory: `${memoryDirectory}/${name}`, quotaBytes: options.memoryBytes}] : [];
  const disks = options.disks.length > 0 ? options.disks : [{directory: home.cache, quotaBytes}];
  const onDisk = disks.map((tier, i) => ({name: disks.length > 1 ? `DISK${i + 1}` : 'DISK', directory: `${tier.directory}/${name}`, quotaBytes: tier.quotaBytes}));
  const tiers = [...memory, ...onDisk];
  for (const tier of tiers) await disk.makeDirectory(tier.directory, {recursive: true, permissions: 0o700});
  return {
    tiers,
    release: async () => {
      for (const tier of memory) await removeTree(disk, tier.directory);
    },
  };
}
