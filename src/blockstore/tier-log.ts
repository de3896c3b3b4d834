/**
 * A tier's log: what its files hold, appended in batches and synced only when somebody asks. What dies, or need not stay, is written some
 * milliseconds later, or with what somebody waits for. `N.log` files in order of N; `N.ckpt` holds the state of all logs below N, so reading
 * starts at the newest checkpoint. Records are absolute (codec/block/log-record.ts): a checkpoint may be written while its log goes on.
 * A log ends at its first torn record; what was synced comes before that.
 */
import {WeirError} from '#base/errors.ts';
import {MiB} from '#base/units.ts';
import {Slices} from '#blockstore/slices.ts';
import type {Tier} from '#blockstore/tier.ts';
import {decodeLogRecord, encodeLogRecord, type LogRecord, recordOffsetsMax} from '#codec/block/log-record.ts';
import type {DiskFile} from '#runtime/disk.ts';

const readBytes = 1 * MiB;
const rotateBytes = 64 * MiB;
/** Records that nobody waits for are gathered for so long, or until there are so many. */
const gatherMs = 5;
const gatherMax = 1024;
/** What dies, or need not stay, is known again soon; what files hold is written at once. */
const canWait: readonly LogRecord['kind'][] = ['dead', 'kept', 'succeeds'];
/** Records of this many bytes are written between two looks at the clock. */
const checkpointBatchBytes = 256 * 1024;

export class TierLog {
  readonly #tier: Tier;
  /** Everything that a checkpoint must hold, lazily. Undefined until it is known: an early checkpoint would forget what older logs say. */
  #state: (() => Iterable<LogRecord>) | undefined;
  #number = 0;
  #file: DiskFile | undefined;
  /** The same, for writes that are durable by themselves; opened by the first. */
  #durable: DiskFile | undefined;
  #size = 0;
  /** So much of it survives power loss. */
  #syncedSize = 0;
  /** Writes what nobody waits for. */
  #timer: Disposable | undefined;
  #due = false;
  #queue: LogRecord[] = [];
  /** The offsets of the last record in the queue, while it is one of dead entries: more of that segment join it. */
  #openOffsets: number[] = [];
  #waiters: {readonly sync: boolean; readonly resolve: () => void; readonly reject: (error: unknown) => void}[] = [];
  #running: Promise<void> | undefined;
  /** Writes that failed: their records are in memory only, until a checkpoint that began later is whole. */
  #gaps = 0;
  #gapsMended = 0;
  #rotation: PromiseWithResolvers<void> | undefined;
  #checkpointing: Promise<void> | undefined;

  constructor(tier: Tier) {
    this.#tier = tier;
  }

  /** The highest number that a log of this tier has had. */
  async last(): Promise<number> {
    const {disk} = this.#tier.runtime;
    await disk.makeDirectory(this.#tier.path('log'), {recursive: true});
    return Math.max(0, ...(await disk.readDirectory(this.#tier.path('log'))).map((name) => Number.parseInt(name) || 0));
  }

  /** Opens a new log under this number, which names a life of the store and is above all that any tier has had. */
  async open(life: number): Promise<void> {
    this.#number = life - 1;
    await this.#begin();
  }

  /** Replays what previous lives wrote. Yields to others as it goes. */
  async replay(apply: (record: LogRecord) => void): Promise<void> {
    const names = await this.#tier.runtime.disk.readDirectory(this.#tier.path('log'));
    const numbers = (ending: string) => names.filter((name) => name.endsWith(ending)).map((name) => Number.parseInt(name));
    const start = Math.max(0, ...numbers('.ckpt'));
    if (start > 0) await this.#read(`${start}.ckpt`, apply);
    for (const number of numbers('.log').toSorted((a, b) => a - b)) if (number >= start && number < this.#number) await this.#read(`${number}.log`, apply);
  }

  /** From now on checkpoints are possible; makes the first when there is something to make shorter. */
  async enableCheckpoints(state: () => Iterable<LogRecord>): Promise<void> {
    this.#state = state;
    const names = await this.#tier.runtime.disk.readDirectory(this.#tier.path('log'));
    if (names.length > 1) await this.checkpoint();
  }

  append(record: LogRecord): void {
    this.#queue.push(record);
    if (!canWait.includes(record.kind) || this.#queue.length >= gatherMax || !this.#file) this.#due = true;
    if (this.#due) this.#run();
    else if (!this.#running) this.#gather();
  }

  /** Entries that die one after the other are mostly neighbours: those of one segment share a record. */
  appendDead(life: number, segment: number, offset: number): void {
    const last = this.#queue.at(-1);
    if (last?.kind === 'dead' && last.offsets === this.#openOffsets && last.life === life && last.segment === segment && last.offsets.length < recordOffsetsMax) {
      this.#openOffsets.push(offset);
      return;
    }
    this.#openOffsets = [offset];
    this.append({kind: 'dead', life, segment, offsets: this.#openOffsets});
  }

  /** Resolves when all that was appended survives power loss. Throws what the disk says. */
  sync(): Promise<void> {
    return this.#wait(true);
  }

  /** Resolves when all that was appended survives the process. Throws what the disk says. */
  written(): Promise<void> {
    return this.writeNow() ? Promise.resolve() : this.#wait(false);
  }

  /** The same on the spot; false where anything else is being done, or the disk does not let us. */
  writeNow(): boolean {
    const file = this.#file;
    if (!file || this.#running || this.#rotation || this.#waiters.length > 0 || this.#gaps > this.#gapsMended || this.#size > rotateBytes) return false;
    if (this.#queue.length === 0) return true;
    const batch = Buffer.concat(this.#queue.map(encodeLogRecord));
    this.#tier.runtime.crashPoint('blockstore.beforeLogWrite');
    if (!file.writeNow(batch, this.#size)) return false;
    this.#size += batch.length;
    this.#queue = [];
    this.#due = false;
    this.#tier.runtime.crashPoint('blockstore.afterLogWrite');
    return true;
  }

  #wait(sync: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({sync, resolve, reject});
      this.#run();
    });
  }

  /** Writes the whole state beside the log and removes what is older. Nothing before the state is known. */
  checkpoint(): Promise<void> {
    const state = this.#state;
    if (!state) return Promise.resolve();
    this.#checkpointing ??= this.#checkpoint(state)
      .catch((error: unknown) => this.#tier.failed(error))
      .finally(() => (this.#checkpointing = undefined));
    return this.#checkpointing;
  }

  async close(): Promise<void> {
    await this.#checkpointing;
    this.#due = true;
    if (this.#pending) this.#run();
    while (this.#running) await this.#running;
    this.#timer?.[Symbol.dispose]();
    await this.#durable?.close();
    await this.#file?.close();
    [this.#file, this.#durable] = [undefined, undefined];
  }

  async #begin(): Promise<void> {
    const {disk} = this.#tier.runtime;
    const number = this.#number + 1;
    const file = await disk.open(this.#tier.path('log', `${number}.log`), {mode: 'exclusive'});
    await disk.syncDirectory(this.#tier.path('log'));
    const [old, oldDurable] = [this.#file, this.#durable];
    [this.#file, this.#durable, this.#number, this.#size, this.#syncedSize] = [file, undefined, number, 0, 0];
    await oldDurable?.close();
    await old?.close();
  }

  #gather(): void {
    this.#timer ??= this.#tier.runtime.clock.after(gatherMs, () => {
      this.#timer = undefined;
      this.#due = this.#queue.length > 0;
      if (this.#pending) this.#run();
    });
  }

  #run(): void {
    this.#running ??= this.#drain().finally(() => {
      this.#running = undefined;
      // What came between the last look and now.
      if (this.#pending) this.#run();
      else if (this.#queue.length > 0) this.#gather();
    });
  }

  get #pending(): boolean {
    return (this.#due && this.#queue.length > 0) || this.#waiters.length > 0 || this.#rotation !== undefined;
  }

  async #drain(): Promise<void> {
    // Lets all that comes in this turn of the event loop into the first batch.
    await this.#tier.runtime.clock.yield();
    while (this.#pending) {
      await this.#rotate();
      this.#due = false;
      this.#timer?.[Symbol.dispose]();
      this.#timer = undefined;
      const [batch, waiters] = [Buffer.concat(this.#queue.map(encodeLogRecord)), this.#waiters];
      this.#queue = [];
      this.#waiters = [];
      try {
        const file = this.#file;
        if (!file) throw new WeirError('Io', 'the log of the tier is closed');
        const sync = waiters.some((waiter) => waiter.sync);
        if (batch.length > 0) {
          this.#tier.runtime.crashPoint('blockstore.beforeLogWrite');
          await this.#write(file, batch, sync);
          this.#tier.runtime.crashPoint('blockstore.afterLogWrite');
        }
        if (sync) {
          if (this.#gaps > this.#gapsMended) throw new WeirError('Io', 'the log of the tier has a gap');
          if (this.#syncedSize < this.#size) await file.datasync();
          this.#syncedSize = this.#size;
        }
        for (const waiter of waiters) waiter.resolve();
        if (this.#size > rotateBytes || this.#gaps > this.#gapsMended) void this.checkpoint();
      } catch (error) {
        // What is lost here is known in memory: a checkpoint makes it good as soon as the disk works again.
        if (batch.length > 0) this.#gaps++;
        for (const waiter of waiters) waiter.reject(error);
        this.#tier.failed(error);
      }
    }
  }

  /** Durably by one call, where that covers all there is. */
  async #write(file: DiskFile, batch: Buffer, sync: boolean): Promise<void> {
    if (!sync || this.#syncedSize < this.#size) {
      if (!file.writeNow(batch, this.#size)) await file.write([batch], this.#size);
      this.#size += batch.length;
      return;
    }
    this.#durable ??= await this.#tier.runtime.disk.open(this.#tier.path('log', `${this.#number}.log`), {mode: 'write', durable: true});
    await this.#durable.write([batch], this.#size);
    this.#size += batch.length;
    this.#syncedSize = this.#size;
  }

  /** Between two writes, so that no record falls between two logs. */
  async #rotate(): Promise<void> {
    const rotation = this.#rotation;
    if (!rotation) return;
    try {
      await this.#begin();
      rotation.resolve();
    } catch (error) {
      rotation.reject(error);
    }
    this.#rotation = undefined;
  }

  async #checkpoint(state: () => Iterable<LogRecord>): Promise<void> {
    const {disk, clock} = this.#tier.runtime;
    this.#rotation = Promise.withResolvers();
    const rotated = this.#rotation.promise;
    this.#run();
    await rotated;
    const gaps = this.#gaps;
    const number = this.#number;
    const draft = this.#tier.path('log', `${number}.tmp`);
    {
      await using file = await disk.open(draft, {mode: 'create', truncate: true});
      let size = 0;
      let batch: Buffer[] = [];
      let batchBytes = 0;
      const flush = async () => {
        await file.write(batch, size);
        size += batchBytes;
        [batch, batchBytes] = [[], 0];
        await clock.yield();
      };
      for (const record of state()) {
        const bytes = encodeLogRecord(record);
        batch.push(bytes);
        batchBytes += bytes.length;
        if (batchBytes >= checkpointBatchBytes || batch.length >= 512) await flush();
      }
      if (batchBytes > 0) await flush();
      await file.datasync();
    }
    this.#tier.runtime.crashPoint('blockstore.beforeCheckpoint');
    await disk.rename(draft, this.#tier.path('log', `${number}.ckpt`));
    await disk.syncDirectory(this.#tier.path('log'));
    this.#tier.runtime.crashPoint('blockstore.afterCheckpoint');
    this.#gapsMended = gaps;
    for (const name of await disk.readDirectory(this.#tier.path('log'))) if ((Number.parseInt(name) || 0) < number) await disk.unlink(this.#tier.path('log', name));
  }

  async #read(name: string, apply: (record: LogRecord) => void): Promise<void> {
    const {disk, clock} = this.#tier.runtime;
    await using file = await disk.open(this.#tier.path('log', name), {mode: 'read'});
    const slices = new Slices(clock);
    let rest = Buffer.alloc(0);
    for (let position = 0; ; ) {
      const chunk = Buffer.allocUnsafe(readBytes);
      const count = await file.read(chunk, position);
      position += count;
      const bytes = Buffer.concat([rest, chunk.subarray(0, count)]);
      let at = 0;
      for (;;) {
        const decoded = decodeLogRecord(bytes, at);
        if (decoded === 'torn') return;
        if (decoded === 'short') break;
        apply(decoded.record);
        at = decoded.next;
        if (slices.over) await slices.rest();
      }
      rest = bytes.subarray(at);
      if (count < readBytes) return;
      await slices.rest();
    }
  }
}
