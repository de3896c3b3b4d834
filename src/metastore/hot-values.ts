/**
 * An engine that keeps in memory what was looked up or written lately: entries and inodes, which each path leads through. To ask LMDB costs several times as
 * much. Of what is absent it keeps the last keys. Nothing that a batch changes may be looked up while it is applied; the metastore reads that from its overlay
 * until then.
 *
 * Two generations: what comes, and what is found in the elder, goes to the younger; when that is full the elder is forgotten and takes its place. So what is used
 * stays, whatever a listing of millions leads past, and what was used once is there for the second time. What is written is kept as well as what is
 * looked up, because it is mostly asked for soon: an object that was fetched for the first time, a file that was made.
 */
import type {ByteString} from '#base/byte-string.ts';
import {MiB} from '#base/units.ts';
import type {StateEngine} from '#metastore/engine.ts';
import {KeptRecords} from '#metastore/kept-records.ts';

/** Of records in each generation: with their names some 100 000 small files. Memory is taken as it is used. */
const recordBytesMax = 16 * MiB;
/** Keys of which it was just found that there is nothing: who makes something asks several times whether it is there. Then all are forgotten. */
const absentMax = 1_000;

export function keepHotValues(engine: StateEngine, isHot: (key: ByteString) => boolean, bytes = recordBytesMax): StateEngine {
  let younger = new KeptRecords(bytes);
  let elder = new KeptRecords(bytes);
  const absent = new Set<ByteString>();
  const keep = (key: ByteString, hash: number, value: Uint8Array): void => {
    if (younger.keep(key, hash, value)) return;
    [younger, elder] = [elder, younger];
    younger.clear();
    younger.keep(key, hash, value);
  };
  const lookUp = (key: ByteString, hash: number): Uint8Array | undefined => {
    if (absent.size > 0 && absent.has(key)) return undefined;
    const value = engine.look(key);
    if (value) keep(key, hash, value);
    else {
      if (absent.size >= absentMax) absent.clear();
      absent.add(key);
    }
    return value;
  };
  const lookHot = (key: ByteString): Uint8Array | undefined => {
    const hash = KeptRecords.hashOf(key);
    const young = younger.find(key, hash);
    if (young) return young;
    const old = elder.find(key, hash);
    // Nothing is forgotten for it: its own memory might be.
    if (old) younger.keep(key, hash, old);
    return old ?? lookUp(key, hash);
  };
  return {
    get sequence() {
      return engine.sequence;
    },
    get: key => engine.get(key),
    look: key => (isHot(key) ? lookHot(key) : engine.look(key)),
    range: options => engine.range(options),
    apply: async (mutations, sequence) => {
      await engine.apply(mutations, sequence);
      for (const {key, value} of mutations) {
        if (!isHot(key)) continue;
        const hash = KeptRecords.hashOf(key);
        younger.remove(key, hash);
        elder.remove(key, hash);
        if (value) keep(key, hash, value);
        absent.delete(key);
      }
    },
    snapshot: () => engine.snapshot(),
    close: () => engine.close(),
  };
}
