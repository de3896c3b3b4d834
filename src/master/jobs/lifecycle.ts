/**
 * Carries out the lifecycle rules of buckets: a walk over a bucket, a page at a time, ending what the rules say has ended. All that they count
 * ends at a midnight UTC, so each bucket with rules has one timer (timer-queue.ts), due when they are set and then at every midnight.
 * Each end is an ordinary delete, conditional on the version that was looked at, so what changes meanwhile is safe and locks hold.
 */
import {type ByteString, toText} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {idOfKey, nameOfSettingKey, settingKey, settingsTable} from '#codec/namespace/keys.ts';
import {systemContext, type CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {ListVersionsRequest} from '#contracts/listings.ts';
import type {RemoveOptions, RemoveResult} from '#contracts/master-api.ts';
import type {UploadRecord} from '#contracts/writing.ts';
import {BucketWalk} from '#master/jobs/bucket-walk.ts';
import type {TimerHandler} from '#master/jobs/timer-queue.ts';
import type {Lister} from '#master/loader/lister.ts';
import type {InodeId} from '#base/ids.ts';
import {locate} from '#master/namespace/locate.ts';
import {hasTimer, setTimer} from '#master/namespace/timers.ts';
import {listUploads, removeUpload} from '#master/namespace/uploads.ts';
import type {Transactions} from '#master/transactions.ts';
import {applies, type LifecycleRule, lifecycleSetting, midnightAfter, parseRules} from '#model/lifecycle.ts';
import type {Runtime} from '#runtime/runtime.ts';

const versionsAPage = 500;
const uploadsAPage = 500;
/** How far a walk has got is kept after a page that ended something, and after so many others. */
const pagesANote = 20;

export interface LifecycleServices {
  readonly transactions: Transactions;
  readonly lister: Lister;
  readonly runtime: Pick<Runtime, 'clock' | 'log'>;
  readonly remove: (path: ByteString, options: RemoveOptions & {readonly kind: 'file'; readonly version?: string}, context: CallContext) => Promise<RemoveResult>;
  /** A client's upload that is being completed now. */
  readonly completing: (uploadId: string) => boolean;
  /** A client's upload has ended here. */
  readonly uploadEnded: (upload: UploadRecord) => void;
}

interface Walk {
  /** Wall ms: what has ended by then. */
  readonly startedAt: number;
  readonly after: ByteString | undefined;
  readonly signal: AbortSignal;
  readonly note: (done: ByteString) => Promise<void>;
}

export class Lifecycle {
  readonly #services: LifecycleServices;

  constructor(services: LifecycleServices) {
    this.#services = services;
  }

  /** Buckets that got their rules before there were timers get one each. */
  async adopt(): Promise<void> {
    const {transactions} = this.#services;
    const without = transactions.peek(reader => {
      const buckets = Array.from(reader.range(settingsTable), ({key}) => ({id: idOfKey(key) as InodeId, name: nameOfSettingKey(key)}));
      return buckets.filter(({id, name}) => name === lifecycleSetting && !hasTimer(reader, 'lifecycle', id));
    });
    if (without.length === 0) return;
    await transactions.changeOwn(tx => {
      for (const {id} of without) setTimer(tx, {kind: 'lifecycle', subject: id, dueMs: this.#services.runtime.clock.nowMs()});
    });
  }

  /** Once over a bucket; then again at the next midnight, when days are over. What nobody else sets ends with its bucket or its rules. */
  readonly walk: TimerHandler = async ({timer: {subject, progress}, note, signal}) => {
    const {transactions} = this.#services;
    const found = transactions.peek(reader => {
      const value = reader.get(settingKey(subject, lifecycleSetting));
      const path = value && locate(reader, subject)?.path;
      return path === undefined ? undefined : {path, rules: parseRules(Buffer.from(value!).toString('utf8'))};
    });
    if (!found) return undefined;
    const startedAt = progress?.startedAt ?? this.#services.runtime.clock.nowMs();
    await this.#bucket(found.path, found.rules, {startedAt, after: progress?.after, signal, note: async after => await note({startedAt, after})});
    return midnightAfter(startedAt + 1, 0);
  };

  async #bucket(bucket: ByteString, rules: readonly LifecycleRule[], {startedAt, after, signal, note}: Walk): Promise<void> {
    if (!rules.some(({enabled}) => enabled)) return;
    if (rules.some(({expiration, noncurrent}) => expiration ?? noncurrent)) {
      let ended = false;
      const walk = new BucketWalk(rules, startedAt, async (info, version) => {
        ended = true;
        await this.#end(info, version, signal);
      });
      let from: ListVersionsRequest['after'] = after === undefined ? undefined : {key: after};
      for (let pages = 1; ; pages++) {
        const page = await this.#services.lister.listVersions({directory: bucket, limit: versionsAPage, ...(from ? {after: from} : {})}, {...systemContext, signal});
        for (const entry of page.entries) if ('info' in entry) await walk.next(entry);
        if (!page.next) break;
        from = page.next;
        if (walk.done !== undefined && (ended || pages % pagesANote === 0)) await note(walk.done);
        ended = false;
        await this.#services.runtime.clock.yield();
      }
      await walk.next(undefined);
    }
    await this.#abortUploads(bucket, rules, startedAt);
  }

  /** The version, or (undefined) what is current, as it was seen. */
  async #end({path, inode}: FileInfo, version: string | undefined, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const {remove, runtime} = this.#services;
    const etag = inode.content?.etag;
    const which = version === undefined ? (etag === undefined ? {} : {precondition: {ifMatch: etag}}) : {version};
    try {
      await remove(path, {kind: 'file', ...which}, {...systemContext, signal, lifecycle: true});
      runtime.log.info('an object has ended by a lifecycle rule', {path: toText(path), ...(version === undefined ? {} : {version})});
    } catch (error) {
      // Changed, gone or locked since it was looked at: what is there now is another walk's.
      if (!isKind(error, 'NotFound', 'NotADirectory', 'PreconditionFailed', 'PermissionDenied', 'DirectoryNotEmpty')) throw error;
    }
  }

  async #abortUploads(bucket: ByteString, rules: readonly LifecycleRule[], now: number): Promise<void> {
    const {transactions, runtime, completing, uploadEnded} = this.#services;
    const aborting = rules.filter(({abortUploadsAfterDays}) => abortUploadsAfterDays !== undefined);
    if (aborting.length === 0) return;
    for (let after: {readonly key: ByteString; readonly uploadId: string} | undefined; ; ) {
      const uploads = transactions.peek(reader => listUploads(reader, {directory: bucket, limit: uploadsAPage, after}));
      for (const upload of uploads) {
        const {path, uploadId, initiatedAt} = upload;
        const key = path.slice(bucket.length) as ByteString;
        after = {key, uploadId};
        const subject = {key: toText(key), bytes: 0, tags: () => new Map<string, string>()};
        const ended = aborting.some(rule => applies(rule, subject) && midnightAfter(Number(initiatedAt / 1_000_000n), rule.abortUploadsAfterDays!) <= now);
        // The parts that its store has follow with the sweep of uploads that nobody will complete.
        if (!ended || completing(uploadId)) continue;
        await transactions.changeOwn(tx => void removeUpload(tx, path, uploadId));
        uploadEnded(upload);
      }
      if (uploads.length < uploadsAPage) return;
      await runtime.clock.yield();
    }
  }
}

