/** What travels with every call between services: who asks, until when, and which request it is. */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';

export interface Principal {
  readonly name: string;
  readonly uid: number;
  readonly gids: readonly number[];
  /** What it may was decided already, by policies: modes are not asked. */
  readonly authorized?: true;
}

/** The instance itself, or whoever holds the root key. */
export const rootPrincipal: Principal = {name: 'root', uid: 0, gids: [0]};

export interface CallContext {
  readonly principal: Principal;
  /** Aborted when the caller goes away or its deadline passes. */
  readonly signal: AbortSignal;
  /**
   * Names a mutation, for callers that may send it again: the second time the first result is returned and nothing is
   * done. `client` chooses both; `acknowledged` says that results up to that counter may be forgotten; `isNew`, that it is sent for the first time.
   */
  readonly request?: {readonly client: string; readonly counter: number; readonly acknowledged: number; readonly isNew?: boolean};
  /**
   * Where the caller, who holds inodes and not paths, found these (canonical: a directory's path ends in `/`): a change is made only while
   * they are there, checked in its transaction; else Conflict.
   */
  readonly expects?: readonly {readonly path: ByteString; readonly inode: InodeId}[];
  /** To whom what is made belongs, where somebody who may do everything (a mount) acts for others; in a set-group-id directory the group is that one's. Default: the principal.
   * `umask`: taken from the mode, unless the directory has a default access control list. */
  readonly owner?: {readonly uid: number; readonly gid: number; readonly umask?: number};
  /** Who makes a change, to be left out when it is told to those who remember answers (MasterApi.watch). */
  readonly origin?: string;
  /** The answer comes when a change survives the process; what it takes to survive power loss follows within a second, or with MasterApi.sync. Default: it survives power loss. */
  readonly moment?: 'safe';
  /** Names the request in logs and audit. */
  readonly trace?: string;
  /** The address from which it came by a front end. Does not travel further. */
  readonly remote?: string;
  /** A rule of the bucket's lifecycle does it. Does not travel. */
  readonly lifecycle?: true;
}

const never = new AbortController().signal;

/** A context for work that Weir does on its own account. */
export const systemContext: CallContext = {principal: rootPrincipal, signal: never};
