/**
 * Carries out the lifecycle rules of buckets: from time to time a walk over every bucket that has some, a page at a time, newest version
 * first, ending what the rules say has ended. Each end is an ordinary delete, conditional on the version that was looked at,
 * so what changes meanwhile is safe, locks hold, and a walk that a crash breaks off begins anew and finds what is left.
 */
import {type ByteString, toText} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {idOfKey, nameOfSettingKey, settingsTable} from '#codec/namespace/keys.ts';
import {decodeTags} from '#codec/s3/tagging.ts';
import {systemContext, type CallContext} from '#contracts/context.ts';
import type {FileInfo, RemoveOptions, RemoveResult, VersionEntry} from '#contracts/master-api.ts';
import type {Lister} from '#master/loader/lister.ts';
import type {InodeId} from '#base/ids.ts';
import {locate} from '#master/namespace/locate.ts';
import {listUploads, removeUpload} from '#master/namespace/uploads.ts';
import type {Transactions} from '#master/transactions.ts';
import {applies, endOf, type LifecycleRule, lifecycleSetting, midnightAfter, parseRules} from '#model/lifecycle.ts';
import {s3XattrPrefix} from '#model/inode.ts';
import {versionIdOf} from '#model/version.ts';
import type {Runtime} from '#runtime/runtime.ts';

const firstWalkMs = 60_000;
const walkMs = 3_600_000;
const versionsAPage = 500;
const uploadsAPage = 500;
const taggingXattr = `${s3XattrPrefix}tagging`;

export interface LifecycleServices {
  readonly transactions: Transactions;
  readonly lister: Lister;
  readonly runtime: Pick<Runtime, 'clock' | 'log'>;
  readonly remove: (path: ByteString, options: RemoveOptions & {readonly kind: 'file'; readonly version?: string}, context: CallContext) => Promise<RemoveResult>;
  /** A client's upload that is being completed now. */
  readonly completing: (uploadId: string) => boolean;
}

type Listed = Extract<VersionEntry, {info: unknown}>;

export class Lifecycle {
  readonly #services: LifecycleServices;
  readonly #stop = new AbortController();
  #timer: Disposable | undefined;
  #walking: Promise<void> = Promise.resolve();

  constructor(services: LifecycleServices) {
    this.#services = services;
  }

  start(delayMs = firstWalkMs): void {
    this.#timer = this.#services.runtime.clock.after(delayMs, () => {
      this.#walking = this.walk().then(() => {
        if (!this.#stop.signal.aborted) this.start(walkMs);
      });
    });
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#timer?.[Symbol.dispose]();
    await this.#walking;
  }

  /** Once over all buckets. What fails is logged and tried again by the next walk. */
  async walk(): Promise<void> {
    const {transactions, runtime} = this.#services;
    const buckets = transactions.peek(reader => Array.from(reader.range(settingsTable), ({key, value}) => ({id: idOfKey(key) as InodeId, name: nameOfSettingKey(key), value: Buffer.from(value).toString('utf8')})));
    for (const {id, name, value} of buckets) {
      const path = name === lifecycleSetting ? transactions.peek(reader => locate(reader, id)?.path) : undefined;
      if (path === undefined || this.#stop.signal.aborted) continue;
      try {
        await this.#bucket(path, parseRules(value));
      } catch (error) {
        if (!this.#stop.signal.aborted) runtime.log.warn('the lifecycle of a bucket could not be carried out', {path: toText(path), error: String(error)});
      }
    }
  }

  async #bucket(bucket: ByteString, rules: readonly LifecycleRule[]): Promise<void> {
    if (!rules.some(({enabled}) => enabled)) return;
    const context = {...systemContext, signal: this.#stop.signal};
    if (rules.some(({expiration, noncurrent}) => expiration ?? noncurrent)) {
      const walk = new BucketWalk(rules, this.#services.runtime.clock.nowMs(), (info, version) => this.#end(info, version));
      for (let after: {readonly key: ByteString; readonly version?: string} | undefined; ; ) {
        const page = await this.#services.lister.listVersions({directory: bucket, limit: versionsAPage, ...(after ? {after} : {})}, context);
        for (const entry of page.entries) if ('info' in entry) await walk.next(entry);
        if (!page.next) break;
        after = page.next;
        await this.#services.runtime.clock.yield();
      }
      await walk.next(undefined);
    }
    await this.#abortUploads(bucket, rules);
  }

  /** The version, or (undefined) what is current, as it was seen. */
  async #end({path, inode}: FileInfo, version: string | undefined): Promise<void> {
    this.#stop.signal.throwIfAborted();
    const {remove, runtime} = this.#services;
    const etag = inode.content?.etag;
    const which = version === undefined ? (etag === undefined ? {} : {precondition: {ifMatch: etag}}) : {version};
    try {
      await remove(path, {kind: 'file', ...which}, {...systemContext, signal: this.#stop.signal, lifecycle: true});
      runtime.log.info('an object has ended by a lifecycle rule', {path: toText(path), ...(version === undefined ? {} : {version})});
    } catch (error) {
      // Changed, gone or locked since it was looked at: what is there now is another walk's.
      if (!isKind(error, 'NotFound', 'NotADirectory', 'PreconditionFailed', 'PermissionDenied', 'DirectoryNotEmpty')) throw error;
    }
  }

  async #abortUploads(bucket: ByteString, rules: readonly LifecycleRule[]): Promise<void> {
    const {transactions, runtime, completing} = this.#services;
    const aborting = rules.filter(({abortUploadsAfterDays}) => abortUploadsAfterDays !== undefined);
    if (aborting.length === 0) return;
    const now = runtime.clock.nowMs();
    for (let after: {readonly key: ByteString; readonly uploadId: string} | undefined; ; ) {
      const uploads = transactions.peek(reader => listUploads(reader, {directory: bucket, limit: uploadsAPage, after}));
      for (const {path, uploadId, initiatedAt} of uploads) {
        const key = path.slice(bucket.length) as ByteString;
        after = {key, uploadId};
        const subject = {key: toText(key), bytes: 0, tags: () => new Map<string, string>()};
        const ended = aborting.some(rule => applies(rule, subject) && midnightAfter(Number(initiatedAt / 1_000_000n), rule.abortUploadsAfterDays!) <= now);
        // The parts that its store has follow with the sweep of uploads that nobody will complete.
        if (ended && !completing(uploadId)) await transactions.changeOwn(tx => void removeUpload(tx, path, uploadId));
      }
      if (uploads.length < uploadsAPage) return;
      await runtime.clock.yield();
    }
  }
}

/** Looks at the versions of one key after the other, each with the one that took its place and the one behind it. */
class BucketWalk {
  readonly #rules: readonly LifecycleRule[];
  readonly #now: number;
  readonly #end: (info: FileInfo, version: string | undefined) => Promise<void>;
  #last: Listed | undefined;
  /** When the last entry took the place of the next, if that is of the same key. Wall ms. */
  #lastSince = 0;
  #noncurrentSeen = 0;

  constructor(rules: readonly LifecycleRule[], now: number, end: (info: FileInfo, version: string | undefined) => Promise<void>) {
    this.#rules = rules;
    this.#now = now;
    this.#end = end;
  }

  /** Undefined: there are no more. */
  async next(entry: Listed | undefined): Promise<void> {
    const last = this.#last;
    const newer = entry && last?.key === entry.key ? this.#lastSince : undefined;
    // A delete marker that hides nothing any more is one that is the only thing left of its key.
    if (last?.latest && last.info.deleteMarker && last.key !== entry?.key) await this.#aloneMarker(last);
    this.#last = entry;
    if (!entry) return;
    const {info} = entry;
    const modified = modifiedMs(info);
    this.#lastSince = modified;
    if (entry.latest) {
      this.#noncurrentSeen = 0;
      if (!info.deleteMarker && info.inode.kind === 'file') await this.#current(entry, modified);
      return;
    }
    if (last?.key !== entry.key) this.#noncurrentSeen = 0;
    this.#noncurrentSeen++;
    const subject = subjectOf(entry);
    const ended = this.#rules.some(rule => {
      if (!rule.noncurrent || !applies(rule, subject)) return false;
      return this.#noncurrentSeen > (rule.noncurrent.keep ?? 0) && midnightAfter(newer ?? modified, rule.noncurrent.days) <= this.#now;
    });
    if (ended) await this.#end(info, versionIdOf(info.inode));
  }

  async #current(entry: Listed, modified: number): Promise<void> {
    const subject = subjectOf(entry);
    const ended = this.#rules.some(rule => {
      const end = applies(rule, subject) ? endOf(rule.expiration, modified) : undefined;
      return end !== undefined && end <= this.#now;
    });
    if (ended) await this.#end(entry.info, undefined);
  }

  async #aloneMarker(entry: Listed): Promise<void> {
    const subject = subjectOf(entry);
    const ended = this.#rules.some(rule => {
      if (!rule.expiration || !applies(rule, subject)) return false;
      return 'expiredDeleteMarker' in rule.expiration || endOf(rule.expiration, modifiedMs(entry.info))! <= this.#now;
    });
    if (ended) await this.#end(entry.info, versionIdOf(entry.info.inode));
  }
}

function modifiedMs({inode}: FileInfo): number {
  return Number((inode.content?.committedAt ?? inode.mtime) / 1_000_000n);
}

function subjectOf({key, info: {inode}}: Listed) {
  const tags = (): ReadonlyMap<string, string> => {
    const stored = inode.xattrs?.[taggingXattr];
    return new Map(stored ? decodeTags(Buffer.from(stored).toString('latin1')).map(tag => [tag.key, tag.value]) : []);
  };
  return {key: toText(key), bytes: inode.content?.length ?? 0, tags};
}
