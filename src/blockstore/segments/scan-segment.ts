/** Reading what a segment holds: its entries one by one, and whether one is sound. */
import {crc32c} from '@node-rs/crc32';
import type {ContentId} from '#base/ids.ts';
import type {Segment} from '#blockstore/segments/segment.ts';
import {writeSegmentIndex} from '#blockstore/segments/segment-writer.ts';
import {Slices} from '#blockstore/slices.ts';
import type {Tier} from '#blockstore/tier.ts';
import {entryHeaderBytes, indexEntry, readEntryHeader, readIndexCount, SegmentIndexWriter} from '#codec/block/segment.ts';

/** Every entry of a segment, from its index, else from the segment itself (and then an index is made). */
export async function scanSegment(segment: Segment, visit: (id: ContentId, offset: number, length: number) => void): Promise<void> {
  const {disk, clock} = segment.tier.runtime;
  const slices = new Slices(clock);
  let index: Buffer | undefined;
  try {
    await using file = await disk.open(segment.indexPath, {mode: 'read'});
    index = Buffer.allocUnsafe((await file.stat()).size);
    await file.read(index, 0);
  } catch {
    index = undefined;
  }
  let count = index && readIndexCount(index);
  if (!index || count === undefined) {
    const made = await rebuild(segment, slices);
    index = made.finish();
    count = readIndexCount(index)!;
    await writeSegmentIndex(segment, made).catch((error: unknown) => segment.tier.failed(error));
  }
  for (let i = 0; i < count; i++) {
    const {id, offset, length} = indexEntry(index, i);
    if (offset + length <= segment.size) visit(id, offset, length);
    if (slices.over) await slices.rest();
  }
}

async function rebuild(segment: Segment, slices: Slices): Promise<SegmentIndexWriter> {
  const index = new SegmentIndexWriter();
  const bytes = Buffer.allocUnsafe(segment.size);
  await (await segment.open()).read(bytes, 0);
  for (let at = 0; ; ) {
    const header = readEntryHeader(bytes, at);
    if (!header || at + entryHeaderBytes + header.length > bytes.length) return index;
    index.add(header.id, at + entryHeaderBytes, header.length);
    at += entryHeaderBytes + header.length;
    if (slices.over) await slices.rest();
  }
}

/** Whether these bytes are a sound entry of that content, header and all. */
export function isEntry(entry: Buffer, id: ContentId): boolean {
  const header = readEntryHeader(entry, 0);
  return header?.id === id && header.length === entry.length - entryHeaderBytes && header.checksum === crc32c(entry.subarray(entryHeaderBytes));
}

/** Names of a tier's folder survive power loss. */
export async function tierSync(tier: Tier, ...folder: string[]): Promise<void> {
  for (let depth = folder.length; depth >= 0; depth--) await tier.runtime.disk.syncDirectory(tier.path(...folder.slice(0, depth)));
}
