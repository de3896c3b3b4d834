/**
 * The state engine on LMDB (package lmdb): memory-mapped, ordered, synchronous reads.
 *
 * What must be known of it: queued writes are invisible to its own reads until they are committed, which is why the metastore keeps an
 * overlay; `committed` is not `flushed`; reads of one turn of the event loop share one read transaction, which must be given up before
 * the overlay forgets what the engine took over.
 */
import {type Database, open, type RootDatabase} from 'lmdb';
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {Mutation} from '#codec/journal/record.ts';
import {makeLastingDirectory} from '#journal/lasting-directory.ts';
import type {StateEngine} from '#metastore/engine.ts';
import type {KeyValue, MetastoreSnapshot, RangeOptions} from '#metastore/metastore.ts';
import type {Disk} from '#runtime/disk.ts';

/** Address space, not memory or disk: the file grows as it is used. */
const mapBytes = 1024 ** 4;
const formatVersion = 1;
/** Before every key of the metastore (they never begin with two NULs). */
const metaKey = '\0\0s' as ByteString;

/** Keys go to LMDB's own memory and back without a Buffer for each. LMDB finds more room when writing a key throws RangeError. */
const keyEncoder = {
  writeKey: (key: ByteString, target: Buffer, start: number): number => {
    if (start + key.length > target.length) throw new RangeError('no room for the key');
    return start + target.write(key, start, key.length, 'latin1');
  },
  readKey: (target: Buffer, start: number, end: number): ByteString => target.toString('latin1', start, end) as ByteString,
};

/** What lmdb notes beside a buffer that it uses again for the next read. */
interface LastRead {
  readonly lastSize: number;
}

type Transaction = ReturnType<RootDatabase['useReadTransaction']>;

function lmdbRange(database: Database<Buffer, ByteString>, options: RangeOptions, transaction?: Transaction): Iterable<KeyValue> {
  const {from, to, limit, reverse} = options;
  const bounds = reverse
    ? {start: to, end: from, exclusiveStart: true, inclusiveEnd: true, reverse: true}
    : {start: from, end: to};
  const rows = database.getRange({...bounds, ...(limit === undefined ? {} : {limit}), ...(transaction ? {transaction} : {})});
  return rows as Iterable<KeyValue>;
}

/** Opens (or makes) the state in `directory`. Corrupt when it is of another version. */
export async function openLmdbEngine(disk: Disk, directory: string): Promise<StateEngine> {
  await makeLastingDirectory(disk, directory);
  const database = open<Buffer, ByteString>({
    path: `${directory}/state.mdb`,
    noSubdir: true,
    keyEncoder,
    encoding: 'binary',
    mapSize: mapBytes,
    maxDbs: 1,
    maxReaders: 64,
    overlappingSync: true,
    eventTurnBatching: false,
    commitDelay: 0,
    cache: false,
  } as Parameters<typeof open<Buffer, ByteString>>[0]);
  // LMDB syncs its file, never the file's name; the log is cut on the word of both.
  await disk.syncDirectory(directory);
  const meta = database.get(metaKey);
  if (meta && meta.readUInt32LE(0) !== formatVersion) throw new WeirError('Corrupt', `${directory} holds metadata of version ${meta.readUInt32LE(0)}; this is version ${formatVersion}`);
  let sequence = meta ? Number(meta.readBigUInt64LE(4)) : 0;
  const snapshots = new Set<Transaction>();

  return {
    get sequence() {
      return sequence;
    },
    get: (key: ByteString) => database.get(key),
    look: (key) => database.getBinaryFast(key)?.subarray(0, (database as unknown as LastRead).lastSize),
    range: (options) => lmdbRange(database, options),
    apply: async (mutations: readonly Mutation[], through: number) => {
      const record = Buffer.alloc(12);
      record.writeUInt32LE(formatVersion, 0);
      record.writeBigUInt64LE(BigInt(through), 4);
      await database.batch(() => {
        for (const {key, value} of mutations) {
          if (value === null) void database.remove(key);
          else void database.put(key, value as Buffer);
        }
        void database.put(metaKey, record);
      });
      await database.flushed;
      database.resetReadTxn();
      sequence = through;
    },
    snapshot: (): MetastoreSnapshot => {
      database.resetReadTxn();
      const transaction = database.useReadTransaction();
      snapshots.add(transaction);
      return {
        sequence,
        range: (options) => {
          // LMDB would not find out by itself: it is native code with a pointer.
          if (!snapshots.has(transaction)) throw new WeirError('Unavailable', 'the snapshot has ended');
          return lmdbRange(database, options, transaction);
        },
        [Symbol.asyncDispose]: async () => {
          if (snapshots.delete(transaction)) transaction.done();
        },
      };
    },
    close: async () => {
      for (const transaction of snapshots) transaction.done();
      snapshots.clear();
      await database.close();
    },
  };
}
