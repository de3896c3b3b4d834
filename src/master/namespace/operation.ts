/** What every change to the namespace is told from outside: when it happens, for whom, and where new ids come from. */
import type {Principal} from '#contracts/context.ts';
import type {IdAllocator} from '#master/namespace/ids.ts';
import type {TimeNs} from '#model/content.ts';

export interface Operation {
  readonly now: TimeNs;
  readonly ids: IdAllocator;
  /** Whose permissions are checked, and who owns what is made. Absent: the instance itself, which may do everything. */
  readonly principal?: Principal | undefined;
  /** CallContext.owner, of those who may say so. */
  readonly owner?: {readonly uid: number; readonly gid: number};
}

export const millisecondsOf = (time: TimeNs): number => Number(time / 1_000_000n);
