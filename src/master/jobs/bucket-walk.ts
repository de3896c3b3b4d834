/** What the lifecycle rules of a bucket say of its versions, looked at one after the other, the newest of each key first. */
import type {ByteString} from '#base/byte-string.ts';
import {toText} from '#base/byte-string.ts';
import {decodeTags} from '#codec/s3/tagging.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {VersionEntry} from '#contracts/listings.ts';
import {applies, endOf, type LifecycleRule, midnightAfter} from '#model/lifecycle.ts';
import {s3XattrPrefix} from '#model/inode.ts';
import {versionIdOf} from '#model/version.ts';

const taggingXattr = `${s3XattrPrefix}tagging`;

export type Listed = Extract<VersionEntry, {info: unknown}>;

/** Looks at the versions of one key after the other, each with the one that took its place and the one behind it. */
export class BucketWalk {
  readonly #rules: readonly LifecycleRule[];
  readonly #now: number;
  readonly #end: (info: FileInfo, version: string | undefined) => Promise<void>;
  #last: Listed | undefined;
  /** When the last entry took the place of the next, if that is of the same key. Wall ms. */
  #lastSince = 0;
  #noncurrentSeen = 0;
  /** All versions of this key, and of those before it, were looked at. */
  done: ByteString | undefined;

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
    if (last && last.key !== entry?.key) this.done = last.key;
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
