/**
 * Backup and restore of the whole metastore, while it is in use. The format is codec/backup/.
 *
 * A restore is believed when it has ended, never before: until the last batch, which writes the sequence, the engine carries a mark that
 * makes openMetastore refuse it. So a backup that proves broken halfway, or a crash, leaves nothing that could pass for a state.
 */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {BackupDecoder, BackupEncoder} from '#codec/backup/backup.ts';
import type {Mutation} from '#codec/journal/record.ts';
import {everyKey, keyBytesMax, type StateEngine} from '#metastore/engine.ts';
import type {Metastore, MetastoreSnapshot} from '#metastore/metastore.ts';
import {restoreMark} from '#metastore/restore-mark.ts';
import type {Clock} from '#runtime/clock.ts';

/** Keys and values of one synced batch of a restore; it ends with the block that goes over. */
const batchBytes = 1024 * 1024;

/**
 * The state of one moment as bytes, in chunks of about 64 KiB with a turn of the event loop between them. Holds a snapshot while it is
 * read, which keeps the engine from reusing space: stop reading (return) to give it up.
 */
export async function* writeBackup(metastore: Pick<Metastore, 'snapshot'>, clock: Pick<Clock, 'yield'>): AsyncGenerator<Uint8Array, void, void> {
  await using snapshot = await metastore.snapshot();
  const encoder = new BackupEncoder(snapshot.sequence);
  yield encoder.header();
  for (let from: ByteString | undefined = everyKey.from; from !== undefined; ) {
    from = fillBlock(encoder, snapshot, from);
    const block = encoder.block();
    if (block) yield block;
    await clock.yield();
  }
  yield encoder.end();
}

/** Adds entries until the block is full; where the next one goes on, undefined at the end. A range of its own, so that none stays open over a turn. */
function fillBlock(encoder: BackupEncoder, snapshot: MetastoreSnapshot, from: ByteString): ByteString | undefined {
  for (const {key, value} of snapshot.range({from, to: everyKey.to})) {
    if (encoder.add(key, value)) return `${key}\0` as ByteString;
  }
  return undefined;
}

/**
 * Makes the state of a backup in an engine that has never been used (AlreadyExists). Open the metastore afterwards with an empty log
 * directory. Corrupt when the backup is not whole and undamaged: then the engine is of no use any more.
 */
export async function restoreBackup(engine: StateEngine, chunks: AsyncIterable<Uint8Array>): Promise<{entries: number}> {
  if (engine.sequence > 0 || !isEmpty(engine)) throw new WeirError('AlreadyExists', 'a backup is restored into an empty directory; this one holds metadata');
  await engine.apply([restoreMark({finished: false, sequence: 0})], 0);
  const decoder = new BackupDecoder();
  let batch: Mutation[] = [];
  let gathered = 0;
  for await (const chunk of chunks) {
    for (const block of decoder.push(chunk)) {
      for (const entry of block) {
        checkKey(entry.key);
        gathered += entry.key.length + entry.value.length;
        batch.push(entry);
      }
      if (gathered < batchBytes) continue;
      await engine.apply(batch, 0);
      batch = [];
      gathered = 0;
    }
  }
  const {sequence, entries} = decoder.end();
  await engine.apply([...batch, restoreMark({finished: true, sequence})], sequence);
  return {entries};
}

function isEmpty(engine: StateEngine): boolean {
  for (const _ of engine.range({...everyKey, from: '\0b' as ByteString, limit: 1})) return false;
  return true;
}

/** Whole and undamaged is not enough: the mark and the engine's own keys are nobody's to restore. */
function checkKey(key: ByteString): void {
  if (key < everyKey.from || key.length > keyBytesMax) throw new WeirError('Corrupt', 'the backup holds a key that no metastore can have');
}
