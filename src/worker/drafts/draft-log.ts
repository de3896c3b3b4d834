/**
 * The log of drafts: every change of a small file that is being written is here before it is answered, in the page cache, so that it survives the
 * process; and on disk after `sync`. What comes at once is written at once. Files `N.log`, in order; one goes when no draft that began in it is
 * left. After a start the earlier ones are read, and removed when what they tell is told again.
 */
import {isKind} from '#base/errors.ts';
import {KiB, MiB} from '#base/units.ts';
import {decodeDraftRecord, type DraftRecord, encodeDraftRecord} from '#codec/draft/log-record.ts';
import {makeLastingDirectory} from '#journal/lasting-directory.ts';
import type {Disk, DiskFile} from '#runtime/disk.ts';
import type {Runtime} from '#runtime/runtime.ts';

const rotateBytes = 32 * MiB;
/** Of one write. */
const groupBytesMax = 8 * MiB;
const scratchBytes = 64 * KiB;
const namePattern = /^([1-9][0-9]{0,8})[.]log$/;

interface LogFile {
  readonly number: number;
  readonly path: string;
  readonly file: DiskFile;
  /** Drafts that began here and have not ended. */
  live: number;
  unsynced: boolean;
  lasting: boolean;
}

interface Queued {
  readonly buffers: readonly Uint8Array[];
  readonly bytes: number;
  readonly begins: boolean;
  readonly written: PromiseWithResolvers<LogFile>;
}

/** Where a draft began. */
export type LogPlace = Pick<LogFile, 'number'>;

export class DraftLog {
  readonly #disk: Disk;
  readonly #runtime: Pick<Runtime, 'disk' | 'crashPoint' | 'boot'>;
  readonly #directory: string;
  readonly #files = new Map<number, LogFile>();
  #current: LogFile | undefined;
  #size = 0;
  #last = 0;
  #queue: Queued[] = [];
  #notes: Uint8Array[] = [];
  /** For what is written on the spot: memory of its own costs more than the copy. */
  readonly #scratch = Buffer.allocUnsafeSlow(scratchBytes);
  #running: Promise<void> | undefined;
  #syncing: Promise<void> | undefined;
  #nextSync: Promise<void> | undefined;

  constructor(runtime: Pick<Runtime, 'disk' | 'crashPoint' | 'boot'>, directory: string) {
    this.#runtime = runtime;
    this.#disk = runtime.disk;
    this.#directory = directory;
  }

  /** What earlier lives have left, in order; `sameBoot`: the machine has not been started since. Once, before anything is appended. */
  async replay(apply: (record: DraftRecord, sameBoot: boolean) => void): Promise<void> {
    for (const number of await this.#numbers()) {
      this.#last = Math.max(this.#last, number);
      await using file = await this.#disk.open(this.#path(number), {mode: 'read'});
      const log = Buffer.allocUnsafe((await file.stat()).size);
      const count = await file.read(log, 0);
      let sameBoot = false;
      for (let at = 0; ; ) {
        const decoded = decodeDraftRecord(log.subarray(0, count), at);
        if (decoded === 'torn') break;
        const {record} = decoded;
        if (record.kind === 'boot') sameBoot = record.boot === this.#runtime.boot;
        else apply(record, sameBoot);
        at = decoded.next;
      }
    }
  }

  /** What was replayed is not needed any more. */
  async forgetReplayed(): Promise<void> {
    for (const number of await this.#numbers()) if (!this.#files.has(number)) await this.#disk.unlink(this.#path(number));
  }

  /** Resolves when the records, written one after the other, survive the process. With `begins` a draft is counted, until `end`. The bytes must not be changed before. */
  append(records: readonly DraftRecord[], begins = false): Promise<LogPlace> {
    const buffers = records.flatMap((record) => [...encodeDraftRecord(record)]);
    const log = this.#writeNow(buffers, begins);
    if (log) return Promise.resolve(log);
    const written = Promise.withResolvers<LogFile>();
    this.#queue.push({buffers, bytes: buffers.reduce((sum, buffer) => sum + buffer.length, 0), begins, written});
    this.#run();
    return written.promise;
  }

  /** The same on the spot; undefined, and nothing is written, where that takes waiting. */
  appendNow(records: readonly DraftRecord[], begins = false): LogPlace | undefined {
    return this.#writeNow(records.flatMap((record) => [...encodeDraftRecord(record)]), begins);
  }

  /** Goes with what is appended next; nobody waits for it. */
  note(record: DraftRecord): void {
    this.#notes.push(...encodeDraftRecord(record));
  }

  /** Everything that was appended survives power loss. Those who call at once share one sync. */
  sync(): Promise<void> {
    if (!this.#syncing) return this.#beginSync();
    this.#nextSync ??= this.#syncing
      .catch(() => undefined)
      .then(() => {
        this.#nextSync = undefined;
        return this.#beginSync();
      });
    return this.#nextSync;
  }

  /** A draft that began there has ended. */
  async ended({number}: LogPlace): Promise<void> {
    const log = this.#files.get(number);
    if (!log || --log.live > 0 || log === this.#current) return;
    await this.#remove(log);
  }

  /** The same on the spot; false, and it is not counted, where a file goes with it. */
  endedNow({number}: LogPlace): boolean {
    const log = this.#files.get(number);
    if (log?.live === 1 && log !== this.#current) return false;
    if (log) log.live--;
    return true;
  }

  /** What has not ended stays on disk. */
  async close(): Promise<void> {
    while (this.#running) await this.#running;
    await this.#syncing?.catch(() => undefined);
    for (const log of this.#files.values()) {
      await log.file.close();
      if (log.live === 0) await this.#disk.unlink(log.path);
    }
    this.#files.clear();
    this.#current = undefined;
  }

  /** On the spot, where nothing is waiting and the disk lets us. */
  #writeNow(buffers: readonly Uint8Array[], begins: boolean): LogFile | undefined {
    const log = this.#current;
    if (!log || this.#running || this.#queue.length > 0 || this.#size >= rotateBytes) return undefined;
    const bytes = this.#together([...this.#notes, ...buffers]);
    this.#runtime.crashPoint('drafts.beforeWrite');
    if (!log.file.writeNow(bytes, this.#size)) return undefined;
    this.#runtime.crashPoint('drafts.afterWrite');
    this.#notes = [];
    this.#size += bytes.length;
    log.unsynced = true;
    if (begins) log.live++;
    return log;
  }

  /** Valid until the next call, where they are few. */
  #together(buffers: readonly Uint8Array[]): Uint8Array {
    let end = 0;
    for (const buffer of buffers) {
      if (end + buffer.length > scratchBytes) return Buffer.concat(buffers);
      this.#scratch.set(buffer, end);
      end += buffer.length;
    }
    return this.#scratch.subarray(0, end);
  }

  #run(): void {
    this.#running ??= this.#drain().finally(() => {
      this.#running = undefined;
      // What came between the last look and now.
      if (this.#queue.length > 0) this.#run();
    });
  }

  async #drain(): Promise<void> {
    // What comes in the same turn goes with it.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const group: Queued[] = [];
      for (let bytes = 0; this.#queue.length > 0 && (group.length === 0 || bytes + this.#queue[0]!.bytes <= groupBytesMax); ) {
        bytes += this.#queue[0]!.bytes;
        group.push(this.#queue.shift()!);
      }
      try {
        const log = this.#current && this.#size < rotateBytes ? this.#current : await this.#begin();
        const notes = this.#notes.splice(0);
        const buffers = [...notes, ...group.flatMap(({buffers: own}) => own)];
        this.#runtime.crashPoint('drafts.beforeWrite');
        await log.file.write(buffers, this.#size);
        this.#runtime.crashPoint('drafts.afterWrite');
        log.unsynced = true;
        for (const note of notes) this.#size += note.length;
        for (const {bytes, begins, written} of group) {
          this.#size += bytes;
          if (begins) log.live++;
          written.resolve(log);
        }
      } catch (error) {
        for (const {written} of group) written.reject(error);
        // A log that was half written ends there: the next begins anew.
        this.#size = Infinity;
      }
    }
  }

  async #begin(): Promise<LogFile> {
    if (this.#files.size === 0) await makeLastingDirectory(this.#disk, this.#directory);
    const number = this.#last + 1;
    const path = this.#path(number);
    const file = await this.#disk.open(path, {mode: 'exclusive', permissions: 0o600});
    const before = this.#current;
    const log: LogFile = {number, path, file, live: 0, unsynced: true, lasting: false};
    this.#last = number;
    this.#files.set(number, log);
    this.#current = log;
    const first = encodeDraftRecord({kind: 'boot', boot: this.#runtime.boot});
    await file.write(first, 0);
    this.#size = first.reduce((sum, {length}) => sum + length, 0);
    if (before && before.live === 0) await this.#remove(before);
    return log;
  }

  #beginSync(): Promise<void> {
    const run = this.#syncNow().finally(() => (this.#syncing = undefined));
    this.#syncing = run;
    return run;
  }

  async #syncNow(): Promise<void> {
    const logs = [...this.#files.values()].filter(({unsynced}) => unsynced);
    this.#runtime.crashPoint('drafts.beforeSync');
    const needsName = logs.some(({lasting}) => !lasting);
    for (const log of logs) log.unsynced = false;
    try {
      await Promise.all([...logs.map(({file}) => file.datasync()), needsName && this.#disk.syncDirectory(this.#directory)]);
    } catch (error) {
      for (const log of logs) log.unsynced = true;
      throw error;
    }
    for (const log of logs) log.lasting = true;
    this.#runtime.crashPoint('drafts.afterSync');
  }

  async #remove(log: LogFile): Promise<void> {
    await this.#syncing?.catch(() => undefined);
    if (!this.#files.delete(log.number)) return;
    await log.file.close();
    await this.#disk.unlink(log.path);
  }

  async #numbers(): Promise<number[]> {
    const names = await this.#disk.readDirectory(this.#directory).catch((error: unknown) => {
      if (isKind(error, 'NotFound')) return [];
      throw error;
    });
    return names.flatMap((name) => namePattern.exec(name)?.[1] ?? []).map(Number).toSorted((a, b) => a - b);
  }

  #path(number: number): string {
    return `${this.#directory}/${number}.log`;
  }
}
