/** What a serving thread begins with, and what it calls beside master and worker. */
import type {FileSystem} from '#client/file-system.ts';
import type {Wire} from '#contracts/wire.ts';
import type {FollowedBeginning} from '#master/identity/followed-directory.ts';
import type {Change} from '#master/identity/identity-state.ts';
import type {FeedEnd, FeedFollower} from '#runtime/node/threads/shared-feed.ts';

export interface ServingData {
  readonly identity: FollowedBeginning;
  /** Of the changes to identity from there on. */
  readonly feed: FeedEnd;
  readonly tls?: {readonly key: string; readonly cert: string};
  readonly baseDomains: readonly string[];
  /** Whether requests are to be told of. */
  readonly audit: boolean;
}

export type ServingFeed = FeedFollower<readonly Change[]>;

/** What one client must do for all: it keeps those who ask for the same from doing it twice. */
export const togetherWire: Wire<Pick<FileSystem, 'completeUpload'>> = {completeUpload: 'call'};
