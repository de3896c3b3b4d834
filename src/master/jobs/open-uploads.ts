/**
 * Lets no multipart upload stay in a store that nobody will complete. Every one that Weir opens is noted before a part of it
 * is sent; what an earlier life has left, and what has been open for longer than any write lasts, is aborted at start and
 * from time to time, unless a client's upload stands behind it. Those end when nothing was done with them for the mount's
 * `uploadExpiry`. Only what was noted is touched, so never what others have open in the same store; an upload without any
 * part, opened in the instant of a kill, may stay.
 */
import {toText} from '#base/byte-string.ts';
import type {MountId} from '#base/ids.ts';
import {parseDuration} from '#base/units.ts';
import type {StoreUpload} from '#codec/namespace/store-upload-record.ts';
import type {UploadRecord} from '#contracts/writing.ts';
import type {MountTable} from '#master/mounts/mount-table.ts';
import {expireUpload, forgetStoreUpload, lastActivity, listAllUploads, listStoreUploads, noteStoreUpload} from '#master/namespace/store-uploads.ts';
import {spilledUploads} from '#master/namespace/uploads.ts';
import {isKeptUpload} from '#model/multipart.ts';
import type {Transactions} from '#master/transactions.ts';
import type {Runtime} from '#runtime/runtime.ts';
import type {UploadNotes} from '#understore/under-store.ts';

/** Between two looks at what is open. */
const sweepMs = 3_600_000;
/** Longer than any write of one object lasts (writes/writes.ts forgets its ticket by then). */
const openMs = 24 * 3_600_000;
const expiryDefaultMs = 7 * 24 * 3_600_000;
/** Records looked at without a turn for others. */
const recordsAtOnce = 1_000;

export interface OpenUploadServices {
  readonly transactions: Transactions;
  readonly mounts: MountTable;
  readonly runtime: Pick<Runtime, 'clock' | 'log' | 'crashPoint'>;
  /** A client's upload that is being completed now. */
  readonly completing: (uploadId: string) => boolean;
  /** A client's upload has ended here. */
  readonly ended: (upload: UploadRecord) => void;
}

export class OpenUploads {
  readonly #services: OpenUploadServices;
  readonly #stop = new AbortController();
  /** Noted in this life and still open. */
  readonly #young = new Set<string>();
  #timer: Disposable | undefined;
  #sweeping: Promise<void> = Promise.resolve();

  constructor(services: OpenUploadServices) {
    this.#services = services;
  }

  /** What a mount's store tells of its uploads. */
  notesOf(mount: MountId): UploadNotes {
    const {transactions, runtime} = this.#services;
    return {
      opened: async (storeKey, storeUploadId) => {
        runtime.crashPoint('master.upload.opened');
        this.#young.add(nameOf(mount, storeUploadId));
        await transactions.changeOwn(tx => noteStoreUpload(tx, {mount, storeKey, storeUploadId, openedAt: runtime.clock.nowMs()}));
        runtime.crashPoint('master.upload.noted');
      },
      closed: storeUploadId => {
        this.#young.delete(nameOf(mount, storeUploadId));
        // A note too many costs a request in the next life.
        transactions.changeQuietly(tx => forgetStoreUpload(tx, mount, storeUploadId)).catch(() => undefined);
      },
    };
  }

  /** Sweeps now, and again and again. */
  start(): void {
    this.#sweeping = this.#sweep().catch((error: unknown) => {
      if (!this.#stop.signal.aborted) this.#services.runtime.log.warn('uploads that nobody will complete could not be looked for', {error: String(error)});
    });
    void this.#sweeping.then(() => {
      if (!this.#stop.signal.aborted) this.#timer = this.#services.runtime.clock.after(sweepMs, () => this.start());
    });
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#timer?.[Symbol.dispose]();
    await this.#sweeping;
  }

  async #sweep(): Promise<void> {
    const {transactions, runtime} = this.#services;
    const behindClients = new Set<string>();
    for await (const upload of this.#pages(after => transactions.peek(reader => listAllUploads(reader, after, recordsAtOnce)))) {
      if (await this.#expire(upload)) continue;
      behindClients.add(nameOf(upload.mount, upload.storeUploadId));
      for (const spilled of isKeptUpload(upload) ? transactions.peek(reader => spilledUploads(reader, upload.uploadId)) : []) behindClients.add(nameOf(upload.mount, spilled));
    }
    const now = runtime.clock.nowMs();
    for await (const upload of this.#pages(after => transactions.peek(reader => listStoreUploads(reader, after, recordsAtOnce)))) {
      const name = nameOf(upload.mount, upload.storeUploadId);
      const left = upload.openedAt < now - openMs || !this.#young.has(name);
      if (left && !behindClients.has(name)) await this.#abort(upload);
    }
  }

  /** True when the client's upload has ended so. */
  async #expire(upload: UploadRecord): Promise<boolean> {
    const {transactions, mounts, runtime, completing} = this.#services;
    const before = runtime.clock.nowMs() - (mounts.has(upload.mount) ? expiryMs(mounts.mount(upload.mount).options) : 0);
    if (Number(upload.initiatedAt / 1_000_000n) >= before || transactions.peek(reader => lastActivity(reader, upload)) >= before || completing(upload.uploadId)) return false;
    runtime.crashPoint('master.upload.expire');
    const expired = await transactions.changeOwn(tx => !completing(upload.uploadId) && expireUpload(tx, upload, before));
    if (expired) this.#services.ended(upload);
    if (expired) runtime.log.info('an upload was aborted, because nothing was done with it for long', {path: toText(upload.path), uploadId: upload.uploadId});
    return expired;
  }

  async #abort({mount, storeKey, storeUploadId}: StoreUpload): Promise<void> {
    const {transactions, mounts, runtime} = this.#services;
    if (mounts.has(mount)) {
      if (mounts.mount(mount).readOnly) return;
      try {
        await mounts.get(mount).abortUpload(storeKey, storeUploadId, {signal: this.#stop.signal});
      } catch (error) {
        this.#stop.signal.throwIfAborted();
        runtime.log.warn('an upload that nobody will complete could not be aborted in its store', {key: toText(storeKey), error: String(error)});
        return;
      }
    }
    runtime.crashPoint('master.upload.aborted');
    await transactions.changeOwn(tx => forgetStoreUpload(tx, mount, storeUploadId));
  }

  /** All of a table; others have their turn between its pages. */
  async *#pages<T>(read: (after: Parameters<typeof listAllUploads>[1]) => {readonly items: readonly T[]; readonly next?: Parameters<typeof listAllUploads>[1]}): AsyncGenerator<T> {
    for (let after: Parameters<typeof listAllUploads>[1]; ; ) {
      const {items, next} = read(after);
      yield* items;
      if (next === undefined) return;
      after = next;
      await this.#services.runtime.clock.yield();
      this.#stop.signal.throwIfAborted();
    }
  }
}

function nameOf(mount: MountId, storeUploadId: string): string {
  return `${mount}:${storeUploadId}`;
}

function expiryMs({uploadExpiry}: Readonly<Record<string, string>>): number {
  return uploadExpiry === undefined ? expiryDefaultMs : parseDuration(uploadExpiry);
}
