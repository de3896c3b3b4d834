/**
 * Counts what lies below a directory, by looking at all of it. Counters kept with every directory would cost each create and
 * each rename a write for every directory above it, to answer a question that people ask now and then; a walk costs 2 to 4 µs
 * an entry that is known, in slices of about a millisecond, and memory for one page.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import type {Usage} from '#codec/namespace/usage-record.ts';
import type {CallContext} from '#contracts/context.ts';
import type {Lister} from '#master/loader/lister.ts';
import type {Clock} from '#runtime/clock.ts';

const entriesAtOnce = 500;

/** What is not known or not fresh is listed in the store first, as for any listing. The directory itself is not counted. Fails as `list` does. */
export async function countTree(lister: Lister, clock: Pick<Clock, 'yield'>, directory: ByteString, context: CallContext): Promise<Usage> {
  const usage = {files: 0, directories: 0, bytes: 0};
  /** Files with several names, whose bytes are counted once. */
  const linked = new Set<InodeId>();
  for (let after: ByteString | undefined; ; ) {
    context.signal.throwIfAborted();
    const {entries, next} = await lister.list({directory, view: 'tree', limit: entriesAtOnce, ...(after === undefined ? {} : {after})}, context);
    for (const entry of entries) {
      if ('folded' in entry) continue;
      if (entry.info.inode.kind === 'directory') usage.directories++;
      else usage.files++;
      const {id, links} = entry.info.inode;
      if (links !== undefined && linked.has(id)) continue;
      if (links !== undefined) linked.add(id);
      usage.bytes += entry.info.length;
    }
    if (next === undefined) return usage;
    after = next;
    await clock.yield();
  }
}
