/**
 * Appends small contents to the open segment of a tier. Entries gather in a buffer while the one before is written, so that many
 * small fills cost one write. Nothing is synced unless one of them asks; the index learns of an entry after it is written.
 */
import {crc32c} from '@node-rs/crc32';
import type {ContentId} from '#base/ids.ts';
import {MiB} from '#base/units.ts';
import type {Segment} from '#blockstore/segments/segment.ts';
import type {Tier} from '#blockstore/tier.ts';
import {entryHeaderBytes, SegmentIndexWriter, writeEntryHeader} from '#codec/block/segment.ts';

const batchBytesMax = 1 * MiB;

/** Called when an entry is in the segment, with where its bytes are. */
export type Written = (segment: Segment, offset: number, entry: WrittenEntry) => void;

export interface WrittenEntry {
  readonly id: ContentId;
  /** Of the header, in the batch; of the bytes, in the segment, when told. */
  readonly at: number;
  readonly length: number;
  readonly written: Written;
}

class Batch {
  readonly buffer: Buffer;
  used = 0;
  readonly entries: WrittenEntry[] = [];
  /** It survives power loss when it is done. */
  durable = false;
  readonly done = Promise.withResolvers<boolean>();

  constructor(buffer: Buffer) {
    this.buffer = buffer;
  }
}

export class SegmentWriter {
  readonly #tier: Tier;
  readonly #create: () => Promise<Segment>;
  /** Takes bytes of the tier's quota for a segment. */
  readonly #reserve: (bytes: number) => Promise<boolean>;
  readonly #written: Written;
  readonly #batchBytes: number;
  #batch: Batch;
  /** The buffer of the last batch, for the next but one. */
  #spare: Buffer | undefined;
  #segment: Segment | undefined;
  #index = new SegmentIndexWriter();
  #running: Promise<void> | undefined;

  constructor(tier: Tier, create: () => Promise<Segment>, reserve: (bytes: number) => Promise<boolean>, written: Written) {
    this.#tier = tier;
    this.#create = create;
    this.#reserve = reserve;
    this.#written = written;
    this.#batchBytes = Math.min(batchBytesMax, tier.segmentBytes);
    this.#batch = new Batch(Buffer.allocUnsafeSlow(this.#batchBytes));
  }

  get openSegment(): Segment | undefined {
    return this.#segment;
  }

  /** True when it can be read; false when it could not be kept. The bytes are copied at once when there is room in the batch. `durable`: they survive power loss then. */
  async append(id: ContentId, bytes: readonly Uint8Array[], length: number, written = this.#written, durable = false): Promise<boolean> {
    const need = entryHeaderBytes + length;
    while (this.#batch.used + need > this.#batchBytes) await this.#batch.done.promise;
    const batch = this.#batch;
    addTo(batch, id, bytes, length, written);
    batch.durable ||= durable;
    if (this.#writtenNow(batch)) return true;
    this.#run();
    return await batch.done.promise;
  }

  /** The same on the spot, not durably; false, and it is not kept, where that takes waiting. */
  appendNow(id: ContentId, bytes: Uint8Array): boolean {
    const batch = this.#batch;
    if (batch.used > 0 || entryHeaderBytes + bytes.length > this.#batchBytes) return false;
    addTo(batch, id, [bytes], bytes.length, this.#written);
    if (this.#writtenNow(batch)) return true;
    batch.entries.length = batch.used = 0;
    return false;
  }

  /** On the spot, where it is the only one, the segment is there and has room, and the disk lets us. */
  #writtenNow(batch: Batch): boolean {
    const segment = this.#segment;
    if (this.#running || batch.durable || !segment || segment.size + batch.used > this.#tier.segmentBytes) return false;
    const {runtime} = this.#tier;
    runtime.crashPoint('blockstore.beforeSegmentWrite');
    const start = segment.size;
    if (!segment.appendNow(batch.buffer.subarray(0, batch.used))) return false;
    runtime.crashPoint('blockstore.afterSegmentWrite');
    this.#enter(batch, segment, start);
    batch.entries.length = batch.used = 0;
    this.#tier.worked();
    return true;
  }

  #run(): void {
    this.#running ??= this.#drain().finally(() => {
      this.#running = undefined;
      // What came between the last look and now.
      if (this.#batch.used > 0) this.#run();
    });
  }

  /** Ends the open segment, with its index, so that the next life loads it quickly. */
  async close(): Promise<void> {
    await this.#running;
    await this.#seal();
  }

  async #drain(): Promise<void> {
    // Lets all fills of this turn of the event loop into the first batch.
    await this.#tier.runtime.clock.yield();
    while (this.#batch.used > 0) {
      const batch = this.#batch;
      this.#batch = new Batch(this.#spare ?? Buffer.allocUnsafeSlow(this.#batchBytes));
      this.#spare = undefined;
      try {
        batch.done.resolve(await this.#attempt(batch));
      } catch (bug) {
        batch.done.reject(bug);
      }
      this.#spare = batch.buffer;
    }
  }

  async #attempt(batch: Batch): Promise<boolean> {
    try {
      const kept = await this.#write(batch);
      if (kept) this.#tier.worked();
      return kept;
    } catch (error) {
      this.#tier.failed(error);
      return false;
    }
  }

  async #write(batch: Batch): Promise<boolean> {
    if (this.#segment && this.#segment.size + batch.used > this.#tier.segmentBytes) await this.#seal();
    if (!this.#segment) {
      if (!(await this.#reserve(this.#tier.segmentBytes))) return false;
      try {
        this.#segment = await this.#create();
      } catch (error) {
        this.#tier.release(this.#tier.segmentBytes);
        throw error;
      }
      this.#segment.reservedBytes = this.#tier.segmentBytes;
      this.#index = new SegmentIndexWriter();
    }
    const segment = this.#segment;
    const {runtime} = this.#tier;
    runtime.crashPoint('blockstore.beforeSegmentWrite');
    const start = segment.size;
    await segment.append(batch.buffer.subarray(0, batch.used), batch.durable);
    runtime.crashPoint('blockstore.afterSegmentWrite');
    this.#enter(batch, segment, start);
    return true;
  }

  #enter({entries}: Batch, segment: Segment, start: number): void {
    for (const entry of entries) {
      const offset = start + entry.at + entryHeaderBytes;
      this.#index.add(entry.id, offset, entry.length);
      entry.written(segment, offset, entry);
    }
  }

  async #seal(): Promise<void> {
    const segment = this.#segment;
    if (!segment) return;
    this.#segment = undefined;
    await segment.seal();
    this.#tier.release(segment.reservedBytes - segment.size);
    segment.reservedBytes = segment.size;
    try {
      if (segment.liveBytes === 0) await segment.remove();
      else await writeSegmentIndex(segment, this.#index);
    } catch (error) {
      // Without an index the next life reads the segment itself.
      this.#tier.failed(error);
    }
  }
}

/** There is room. */
function addTo(batch: Batch, id: ContentId, bytes: readonly Uint8Array[], length: number, written: Written): void {
  const at = batch.used;
  let end = at + entryHeaderBytes;
  for (const part of bytes) {
    batch.buffer.set(part, end);
    end += part.length;
  }
  writeEntryHeader(batch.buffer, at, {id, length, checksum: crc32c(batch.buffer.subarray(at + entryHeaderBytes, end))});
  batch.used = end;
  batch.entries.push({id, at, length, written});
}

export async function writeSegmentIndex(segment: Segment, index: SegmentIndexWriter): Promise<void> {
  const {disk} = segment.tier.runtime;
  await using file = await disk.open(segment.indexPath, {mode: 'create', truncate: true});
  await file.write([index.finish()], 0);
}
