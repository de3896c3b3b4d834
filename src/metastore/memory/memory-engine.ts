/**
 * A state engine in memory, for the simulator and for tests. What it has synced lives in a MemoryMedium, which a test keeps across
 * simulated crashes as a disk would; a batch becomes part of it whole, at the moment of its sync.
 */
import type {Mutation} from '#codec/journal/record.ts';
import type {StateEngine} from '#metastore/engine.ts';
import type {KeyValue, MetastoreSnapshot, RangeOptions} from '#metastore/metastore.ts';
import {type OrderedMap, orderedMap} from '#metastore/ordered-map.ts';
import type {Runtime} from '#runtime/runtime.ts';

type Tree = OrderedMap<Uint8Array>;

export class MemoryMedium {
  tree: Tree = orderedMap<Uint8Array>();
  sequence = 0;
}

function* rangeOf(tree: Tree, {from, to, limit = Number.POSITIVE_INFINITY, reverse}: RangeOptions): Generator<KeyValue> {
  let left = limit;
  if (left <= 0) return;
  for (const [key, value] of reverse ? tree.entriesReversed(to) : tree.entries(from)) {
    if (reverse ? key < from : key >= to) return;
    if (reverse && key >= to) continue;
    yield {key, value};
    if (--left <= 0) return;
  }
}

export function memoryEngine(runtime: Pick<Runtime, 'crashPoint' | 'clock'>, medium: MemoryMedium = new MemoryMedium()): StateEngine {
  return {
    get sequence() {
      return medium.sequence;
    },
    get: (key) => medium.tree.get(key),
    look: (key) => medium.tree.get(key),
    range: (options) => rangeOf(medium.tree, options),
    apply: async (mutations: readonly Mutation[], sequence) => {
      runtime.crashPoint('engine.beforeApply');
      // A batch takes time, as on a disk: what is committed meanwhile must not get into it.
      await runtime.clock.yield();
      runtime.crashPoint('engine.duringApply');
      const next = medium.tree.clone();
      for (const {key, value} of mutations) {
        if (value === null) next.delete(key);
        else next.set(key, Uint8Array.from(value));
      }
      medium.tree = next;
      medium.sequence = sequence;
      runtime.crashPoint('engine.afterApply');
    },
    snapshot: (): MetastoreSnapshot => {
      const {tree, sequence} = medium;
      const frozen = tree.clone();
      return {sequence, range: (options) => rangeOf(frozen, options), [Symbol.asyncDispose]: () => Promise.resolve()};
    },
    close: () => Promise.resolve(),
  };
}
