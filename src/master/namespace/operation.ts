/** What every change to the namespace is told from outside: when it happens, for whom, and where new ids come from. */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import type {CallContext, Principal} from '#contracts/context.ts';
import type {IdAllocator} from '#master/namespace/ids.ts';
import type {Transaction} from '#metastore/metastore.ts';
import type {TimeNs} from '#model/content.ts';
import type {Inode} from '#model/inode.ts';
import type {EventName} from '#model/notification.ts';

export interface Operation {
  readonly now: TimeNs;
  readonly ids: IdAllocator;
  /** Whose permissions are checked, and who owns what is made. Absent: the instance itself, which may do everything. */
  readonly principal?: Principal | undefined;
  /** CallContext.owner, of those who may say so. */
  readonly owner?: CallContext['owner'];
  /** Where what happens to objects is told; absent while no bucket wants to be told of anything. */
  readonly events?: EventSink | undefined;
  /** Beside `events`: whose call it is; absent for work on Weir's own account. */
  readonly context?: CallContext | undefined;
}

/** Something that S3 would tell of an object. */
export interface ObjectChange {
  readonly name: EventName;
  /** Of the path, from the bucket on. */
  readonly names: readonly ByteString[];
  /** The key is a directory's marker. */
  readonly marker?: boolean;
  /** The directory of the first name; undefined: it was not there before, so nobody listens. */
  readonly top: InodeId | undefined;
  /** Size and ETag are its content's; absent where there is nothing any more. */
  readonly inode?: Inode;
  readonly versionId?: string;
}

/** A directory with all that is below it. */
export interface TreeRename {
  readonly inode: InodeId;
  readonly from: readonly ByteString[];
  readonly to: readonly ByteString[];
  /** The directories of the first names. */
  readonly fromTop: InodeId | undefined;
  readonly toTop: InodeId | undefined;
}

export interface EventSink {
  /** In the transaction of the change: told if and only if that commits. */
  note(tx: Transaction, op: Operation, change: ObjectChange): void;
  /** What lies below is told of behind the commit. */
  treeRenamed(tx: Transaction, op: Operation, rename: TreeRename): void;
  /** A bucket is to be told of things by these rules. InvalidArgument when a target is not there. */
  configured(tx: Transaction, op: Operation, bucket: Inode, rules: string): void;
}

/** When a record was checked, wall ms; 0 where it says a time to come: it was noted by a clock that was ahead of ours, and nobody knows when. */
export function checkedBy({checkedAt}: Pick<Inode, 'checkedAt'>, {now}: Pick<Operation, 'now'>): number {
  return checkedAt <= millisecondsOf(now) ? checkedAt : 0;
}

export const millisecondsOf = (time: TimeNs): number => Number(time / 1_000_000n);
