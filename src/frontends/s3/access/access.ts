/** What operations may ask about the access of their request; it was admitted before they began. */
import type {ByteString} from '#base/byte-string.ts';
import type {Acl} from '#codec/s3/acl.ts';
import type {BucketFacts} from '#client/file-system.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {Caller, IdentityDirectory, Owner} from '#contracts/identity-api.ts';
import type {BucketRules} from '#frontends/s3/access/bucket-rules.ts';
import type {Need} from '#frontends/s3/access/operations.ts';

export interface Target {
  readonly bucket: ByteString;
  readonly key?: ByteString;
  readonly versionId?: string | undefined;
}

export interface ExtraFacts {
  /** Tags of the object that is there; undefined while nobody has looked. */
  readonly existingTags?: Readonly<Record<string, string>>;
  /** Tags that a document of the request sets. */
  readonly requestTags?: Readonly<Record<string, string>>;
  /** The document has not been read. */
  readonly unread?: boolean;
  /** What else its document says, by the keys of conditions in small letters. */
  readonly stated?: Readonly<Record<string, string | undefined>>;
  /** For asking whether a missing key may be known to be missing. */
  readonly prefix?: string;
  readonly resourceAccount: string;
}

export interface Access {
  readonly directory: IdentityDirectory;
  /** Undefined: nobody signed. */
  readonly caller: Caller | undefined;
  /** Of the request's bucket. NoSuchBucket. */
  readonly rules: BucketRules;
  /** Who owns what the request makes in its bucket. */
  readonly writer: Owner;
  /** True when it is known on the spot that the operation may go on; otherwise `admit` finds out. `known`: of the request's bucket, just found. */
  admitNow(subResource: string, known?: BucketFacts): boolean;
  /** Before the operation. AccessDenied, NoSuchBucket, NoSuchKey. */
  admit(subResource: string): Promise<void>;
  /**
   * For what an operation does beside what its request is aimed at (without `at`: just that). AccessDenied; NoSuchKey where there is
   * no such object and the caller may know it.
   */
  demand(need: Need, at?: Target, extra?: Partial<ExtraFacts>): Promise<void>;
  /** Whether a bucket that the request names beside its own is whose it was said to be. AccessDenied. */
  expectOwner(bucket: ByteString, expected: string): Promise<void>;
  may(need: Need, at?: Target, extra?: Partial<ExtraFacts>): Promise<boolean>;
  /** Once more for the object as it was opened: it may be another one than that which was looked at. AccessDenied. */
  check(need: Need, info: FileInfo): void;
  /** Whether the caller may be told that a key is not there. */
  mayKnowOf(key: ByteString): boolean;
  /** Whether ListBuckets shows a bucket. */
  shows(bucket: ByteString, info: FileInfo): boolean;
  /** Of an object with this list. */
  ownerOf(acl: Acl | undefined): Owner;
}
