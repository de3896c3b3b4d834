/**
 * The change log: an append-only sequence of records in segment files, the truth from which the metastore's state is rebuilt.
 *
 * Invariants, each asserted and tested:
 * 1. Records are numbered without gaps. After a crash exactly the first n come back, unchanged, with n ≥ every number whose `durable`
 *    had resolved (power loss) or whose `safe` had resolved (the process died).
 * 2. `durable` resolves only after a sync that began when the record was wholly written, of a file whose name is synced too.
 * 3. A failed write or sync ends the log: a sync that failed once is never believed again (the kernel may have dropped the pages), so
 *    nothing more is accepted until a restart has read back what is really there.
 * 4. Damage before the durable end is Corrupt, never silently shortened.
 *
 * Writing and syncing overlap: while one group is synced, the next is gathered and written. One datasync covers everything written
 * before it (group commit). What nobody waits for is synced with what comes after it, or by itself after a moment. Small groups are
 * written on the spot where the disk lets us; whoever waits for no more than that (`writeNow`) waits for no other thread.
 *
 * What is in the files: segments.ts.
 */
import {assert} from '#base/assert.ts';
import {WeirError} from '#base/errors.ts';
import {recordHeaderBytes, recordPayloadBytesMax, sealRecord, segmentHeaderBytes} from '#codec/journal/record.ts';
import {makeLastingDirectory} from '#journal/lasting-directory.ts';
import {listSegments, makeSegment, readSegment, type Segment} from '#journal/segments.ts';
import type {DiskFile} from '#runtime/disk.ts';
import type {Runtime} from '#runtime/runtime.ts';

/** A segment that has as much is followed by another. */
const segmentBytesDefault = 64 * 1024 * 1024;
/** Bytes gathered and not yet written; beyond this `append` refuses (Overloaded), so a dead disk cannot fill memory. */
export const pendingBytesMax = 256 * 1024 * 1024;
const groupBytesInitial = 256 * 1024;
/** A buffer up to this size is used again for a later group: one for each would have the collector run after every hundred commits. */
const spareBytesMax = 4 * groupBytesInitial;
const sparesMax = 2;
const scratchBytes = 64 * 1024;
/** So much room is made at a time for what is to be synced: zeros, written over by records. To sync a file that grows takes several times as long. */
const roomBytes = 1024 * 1024;
/** How long what nobody waits for may lie unsynced. */
const unhurriedMs = 500;

export interface Appended {
  readonly sequence: number;
  readonly safe: Promise<void>;
  readonly durable: Promise<void>;
}

export interface ChangeLogOptions {
  readonly directory: string;
  /** Records up to this sequence are not needed; the log may begin after it. */
  readonly after: number;
  /** The log begins with the record after that: there is none yet, or one from no earlier. Otherwise an absent log is Corrupt. */
  readonly beginsHere: boolean;
  /** Each record after that, in order, before open resolves. The payload is valid during the call. */
  readonly onRecord: (sequence: number, payload: Buffer) => void;
  /** For tests that want many segments. */
  readonly segmentBytes?: number;
}

interface Written {
  lastSequence: number;
  readonly durable: PromiseWithResolvers<void>;
  /** Records that were written on the spot, each by itself: the next joins them. */
  readonly atOnce?: true;
}

interface Group extends Written {
  buffer: Buffer;
  length: number;
  readonly firstSequence: number;
  readonly safe: PromiseWithResolvers<void>;
}

/** For whom a record is appended: who waits until it is durable, who waits in this very turn until it is safe, or nobody. */
export type Awaited = 'durable' | 'safe' | 'nothing';

const settled = Promise.resolve();
let zeros: Buffer | undefined;

/** Whoever needs it waits on it; a failure with nobody waiting is remembered in #failure. */
function moment(): PromiseWithResolvers<void> {
  const made = Promise.withResolvers<void>();
  made.promise.catch(() => undefined);
  return made;
}

type Machine = Pick<Runtime, 'clock' | 'disk' | 'crashPoint' | 'log'>;

export class ChangeLog implements AsyncDisposable {
  readonly #machine: Machine;
  readonly #directory: string;
  readonly #segmentBytes: number;
  readonly #segments: Segment[];
  #file: DiskFile;
  #fileBytes: number;
  /** How long the file is, or may become without being made longer before: behind the last record are zeros. */
  #room: number;
  #sequence: number;
  #safeSequence: number;
  #durableSequence: number;
  /** Up to here somebody waits for durability. */
  #wanted = 0;
  /** Until what is unhurried is synced all the same. */
  #patience: Disposable | undefined;
  #pending: Group | undefined;
  /** Written and not yet synced, oldest first. */
  #written: Written[] = [];
  /** Being written. */
  #current: Group | undefined;
  /** Buffers of groups that were written, at most `sparesMax`: gathering goes on in one while the other is written. */
  readonly #spares: Buffer[] = [];
  /** For a record that is written on the spot. */
  #scratch: Buffer | undefined;
  #writing = false;
  #syncing = false;
  #syncRun: Promise<void> = Promise.resolve();
  #failure: WeirError | undefined;
  #closing = false;
  #idle: PromiseWithResolvers<void> | undefined;

  private constructor(machine: Machine, options: ChangeLogOptions, segments: Segment[], file: DiskFile, {bytes, size}: {readonly bytes: number; readonly size: number}, sequence: number) {
    this.#machine = machine;
    this.#directory = options.directory;
    this.#segmentBytes = options.segmentBytes ?? segmentBytesDefault;
    this.#segments = segments;
    this.#file = file;
    this.#fileBytes = bytes;
    this.#room = size;
    this.#sequence = sequence;
    this.#safeSequence = sequence;
    this.#durableSequence = sequence;
  }

  /** Reads back what is there, mends a torn end, and is ready to append. Corrupt. */
  static async open(machine: Machine, options: ChangeLogOptions): Promise<ChangeLog> {
    const {disk} = machine;
    const {directory, after, beginsHere} = options;
    await makeLastingDirectory(disk, directory);
    const segments = await listSegments(disk, directory);
    let sequence = after;
    if (segments.length > 0 && segments[0]!.firstSequence > after + 1) {
      throw new WeirError('Corrupt', `the change log begins at ${segments[0]!.firstSequence}; the state holds only ${after}`);
    }
    if (segments.length === 0 && !beginsHere) throw new WeirError('Corrupt', `the change log in ${directory} is missing; the state already holds ${after}`);
    if (segments.length > 0 && beginsHere && segments[0]!.firstSequence !== after + 1) {
      throw new WeirError('Corrupt', `the change log in ${directory} is of another history: it begins at ${segments[0]!.firstSequence}, the state at ${after}`);
    }
    let end = {bytes: 0, size: 0};
    for (const [i, segment] of segments.entries()) {
      const last = i === segments.length - 1;
      const next = segments[i + 1]?.firstSequence;
      if (next !== undefined && next <= after + 1) continue;
      const read = await readSegment(machine, segment, last, (number, payload) => {
        if (number <= after) return;
        assert(number === sequence + 1, 'records are numbered without gaps');
        sequence = number;
        options.onRecord(number, payload);
      });
      end = read;
      if (!last && read.nextSequence !== next) throw new WeirError('Corrupt', `${segment.path} ends before record ${next}`);
      // Going on after a gap would make the next recovery take everything behind it for a torn end.
      if (last && read.nextSequence <= after) throw new WeirError('Corrupt', `the change log ends before record ${read.nextSequence}; the state holds ${after}`);
      if (last) sequence = Math.max(sequence, read.nextSequence - 1);
    }
    const tail = segments.at(-1);
    if (tail && end.bytes >= segmentHeaderBytes) {
      const file = await disk.open(tail.path, {mode: 'write'});
      // What was only written before is kept from now on: a reply may already have been given for it (safe), and we go on from here.
      await file.datasync();
      await disk.syncDirectory(directory);
      return new ChangeLog(machine, options, segments, file, end, sequence);
    }
    // No segment yet, or one that was just being made: its header is not whole, so nothing in it can have been acknowledged.
    if (tail) {
      segments.pop();
      await disk.unlink(tail.path);
    }
    const made = await makeSegment(machine, directory, sequence + 1);
    segments.push(made.segment);
    return new ChangeLog(machine, options, segments, made.file, {bytes: segmentHeaderBytes, size: segmentHeaderBytes}, sequence);
  }

  /** The last number that was given out. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Of the last one that survives the process. */
  get safeSequence(): number {
    return this.#safeSequence;
  }

  get durableSequence(): number {
    return this.#durableSequence;
  }

  get failure(): WeirError | undefined {
    return this.#failure;
  }

  /** Bytes of segments that are not full yet count whole. */
  get bytes(): number {
    return (this.#segments.length - 1) * this.#segmentBytes + this.#fileBytes;
  }

  /**
   * Adds one record of at most `sizeMax` bytes, which `encode` writes at `at` and returns its end. Io after a failure, Overloaded when the
   * disk cannot keep up. Unless somebody waits for its `durable`, that comes within a second, sooner only for others or by `hurry`.
   */
  append(sizeMax: number, encode: (buffer: Buffer, at: number) => number, awaited: Awaited = 'durable'): Appended {
    if (this.#failure) throw this.#failure;
    assert(!this.#closing, 'the log is open');
    if (sizeMax > recordPayloadBytesMax) throw new WeirError('TooLarge', `a transaction of ${sizeMax} bytes is over the limit of ${recordPayloadBytesMax}`);
    return (awaited === 'safe' ? this.#appendNow(sizeMax, encode) : undefined) ?? this.#gather(sizeMax, encode, awaited);
  }

  /** On the spot, where nothing is before it and the disk lets us. */
  #appendNow(sizeMax: number, encode: (buffer: Buffer, at: number) => number): Appended | undefined {
    const buffer = (this.#scratch ??= Buffer.allocUnsafeSlow(scratchBytes));
    if (this.#pending || this.#current || this.#fileBytes >= this.#segmentBytes || recordHeaderBytes + sizeMax > scratchBytes) return undefined;
    const sequence = this.#sequence + 1;
    const end = encode(buffer, recordHeaderBytes);
    sealRecord(buffer, 0, end - recordHeaderBytes, sequence, this.#durableSequence);
    try {
      this.#machine.crashPoint('journal.beforeWrite');
      if (!this.#file.writeNow(buffer.subarray(0, end), this.#fileBytes)) return undefined;
      this.#machine.crashPoint('journal.afterWrite');
    } catch (error) {
      this.#fail(error);
      throw error;
    }
    this.#fileBytes += end;
    this.#sequence = this.#safeSequence = sequence;
    let last = this.#written.at(-1);
    if (last?.atOnce) last.lastSequence = sequence;
    else this.#written.push((last = {lastSequence: sequence, durable: moment(), atOnce: true}));
    this.#syncSoon();
    return {sequence, safe: settled, durable: last.durable.promise};
  }

  #gather(sizeMax: number, encode: (buffer: Buffer, at: number) => number, awaited: Awaited): Appended {
    let group = this.#pending;
    if (group && group.length > pendingBytesMax) throw new WeirError('Overloaded', 'the disk of the change log cannot keep up');
    if (!group) {
      group = {buffer: this.#spares.pop() ?? Buffer.allocUnsafeSlow(groupBytesInitial), length: 0, firstSequence: this.#sequence + 1, lastSequence: 0, safe: moment(), durable: moment()};
      this.#pending = group;
    }
    const need = group.length + recordHeaderBytes + sizeMax;
    if (need > group.buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(need, group.buffer.length * 2));
      group.buffer.copy(larger, 0, 0, group.length);
      group.buffer = larger;
    }
    const at = group.length;
    const end = encode(group.buffer, at + recordHeaderBytes);
    this.#sequence++;
    sealRecord(group.buffer, at, end - at - recordHeaderBytes, this.#sequence, this.#durableSequence);
    group.length = end;
    group.lastSequence = this.#sequence;
    if (awaited === 'durable') this.#wanted = this.#sequence;
    if (!this.#writing) {
      this.#writing = true;
      // All that is appended in this turn of the event loop goes into the first group.
      void this.#machine.clock.yield().then(() => this.#write());
    }
    return {sequence: this.#sequence, safe: group.safe.promise, durable: group.durable.promise};
  }

  /** Somebody waits until what was appended is safe: it is at once, where it is little and the disk lets us. */
  writeNow(): void {
    const group = this.#pending;
    if (!group || this.#current || this.#failure || this.#fileBytes >= this.#segmentBytes) return;
    try {
      this.#machine.crashPoint('journal.beforeWrite');
      if (!this.#file.writeNow(group.buffer.subarray(0, group.length), this.#fileBytes)) return;
      this.#machine.crashPoint('journal.afterWrite');
      this.#pending = undefined;
      this.#wrote(group);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Somebody waits for the durability of everything up to `sequence`. */
  hurry(sequence = this.#sequence): void {
    this.#wanted = Math.max(this.#wanted, sequence);
    this.#syncSoon();
  }

  /** Segments that hold nothing after `sequence` are removed. */
  async cut(sequence: number): Promise<void> {
    let removed = false;
    while (this.#segments.length > 1 && this.#segments[1]!.firstSequence <= sequence + 1) {
      const [segment] = this.#segments.splice(0, 1);
      this.#machine.crashPoint('journal.beforeCut');
      await this.#machine.disk.unlink(segment!.path);
      removed = true;
    }
    if (removed) await this.#machine.disk.syncDirectory(this.#directory);
  }

  /** Waits until everything is durable, then closes. Rejects when something could not be. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#writing || this.#syncing || this.#written.length > 0) {
      this.#idle = Promise.withResolvers<void>();
      this.hurry();
      if (!this.#failure) await this.#idle.promise;
    }
    await this.#leave();
    if (this.#failure) throw this.#failure;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #write(): Promise<void> {
    const {crashPoint} = this.#machine;
    try {
      while (this.#pending) {
        const group: Group = this.#pending;
        this.#pending = undefined;
        this.#current = group;
        if (this.#fileBytes >= this.#segmentBytes) await this.#roll(group.firstSequence);
        crashPoint('journal.beforeWrite');
        const bytes = group.buffer.subarray(0, group.length);
        await this.#makeRoom(bytes.length);
        if (!this.#file.writeNow(bytes, this.#fileBytes)) await this.#file.write([bytes], this.#fileBytes);
        crashPoint('journal.afterWrite');
        this.#current = undefined;
        this.#wrote(group);
      }
      this.#writing = false;
    } catch (error) {
      this.#writing = false;
      this.#fail(error);
    }
    this.#settle();
  }

  /** For so many bytes and some more, where there is none and somebody waits for a sync. */
  async #makeRoom(bytes: number): Promise<void> {
    const end = this.#fileBytes + bytes;
    if (end <= this.#room || this.#wanted <= this.#durableSequence) return;
    zeros ??= Buffer.alloc(roomBytes);
    const more = Math.min(roomBytes, this.#segmentBytes);
    try {
      await this.#file.write([zeros.subarray(0, more)], end);
      this.#room = end + more;
    } catch {
      // A disk that has no place for this may have some for the records, when it gets back what was taken. It is not tried again in this file.
      await this.#file.truncate(this.#fileBytes);
      this.#room = Infinity;
    }
  }

  #wrote(group: Group): void {
    this.#fileBytes += group.length;
    if (group.buffer.length <= spareBytesMax && this.#spares.length < sparesMax) this.#spares.push(group.buffer);
    this.#safeSequence = group.lastSequence;
    group.safe.resolve();
    this.#written.push(group);
    this.#syncSoon();
  }

  #syncSoon(): void {
    if (this.#syncing || this.#written.length === 0 || this.#failure) return;
    if (this.#wanted <= this.#durableSequence) {
      this.#patience ??= this.#machine.clock.after(unhurriedMs, () => {
        this.#patience = undefined;
        this.hurry();
      });
      return;
    }
    this.#patience?.[Symbol.dispose]();
    this.#patience = undefined;
    this.#syncing = true;
    this.#syncRun = this.#sync();
  }

  async #sync(): Promise<void> {
    const {crashPoint} = this.#machine;
    try {
      while (this.#written.length > 0 && this.#wanted > this.#durableSequence) {
        const covered = this.#written;
        this.#written = [];
        try {
          crashPoint('journal.beforeSync');
          await this.#file.datasync();
          crashPoint('journal.afterSync');
        } catch (error) {
          this.#written = [...covered, ...this.#written];
          throw error;
        }
        this.#durableSequence = covered.at(-1)!.lastSequence;
        for (const group of covered) group.durable.resolve();
      }
      this.#syncing = false;
      this.#syncSoon();
    } catch (error) {
      this.#syncing = false;
      this.#fail(error);
    }
    this.#settle();
  }

  /** A new segment begins only when the old one is wholly durable, so that at most one file ever has a torn end. */
  async #roll(firstSequence: number): Promise<void> {
    this.hurry(this.#safeSequence);
    await this.#syncRun;
    if (this.#failure) throw this.#failure;
    assert(this.#written.length === 0, 'everything written is synced');
    const made = await makeSegment(this.#machine, this.#directory, firstSequence);
    await this.#leave();
    this.#segments.push(made.segment);
    this.#file = made.file;
    this.#fileBytes = this.#room = segmentHeaderBytes;
  }

  /** Nothing more is written to the file, and none of its room is needed. */
  async #leave(): Promise<void> {
    if (!this.#failure && this.#room > this.#fileBytes) await this.#file.truncate(this.#fileBytes);
    await this.#file.close();
  }

  #fail(error: unknown): void {
    const cause = error instanceof Error ? error.message : String(error);
    this.#failure ??= new WeirError('Io', `the change log in ${this.#directory} cannot be written: ${cause}; restart when the disk is well`, {cause: error});
    this.#machine.log.error('the change log failed; nothing more is accepted', {error: this.#failure});
    const lost: (Written | Group)[] = [...this.#written.splice(0), ...(this.#pending ? [this.#pending] : []), ...(this.#current ? [this.#current] : [])];
    this.#pending = undefined;
    for (const each of lost) {
      if ('safe' in each) each.safe.reject(this.#failure);
      each.durable.reject(this.#failure);
    }
  }

  #settle(): void {
    if (!this.#writing && !this.#syncing && (this.#written.length === 0 || this.#failure)) this.#idle?.resolve();
  }
}
