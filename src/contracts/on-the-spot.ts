/**
 * What a master and a worker in this process can answer on the spot: a warm read that waits for nobody, without a promise on its way.
 * `undefined` always means: not now, ask the ordinary way; what is thrown, that way would throw too. Nothing of this travels.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId, MountId} from '#base/ids.ts';
import type {CallContext, Principal} from '#contracts/context.ts';
import type {FileInfo, LookupResult, NodeInfo, PathOptions} from '#contracts/master-api.ts';
import type {Body, ByteRange} from '#contracts/worker-api.ts';
import type {ReadableContent} from '#model/content.ts';
import type {FileLease} from '#model/file-lease.ts';
import type {PathKind} from '#model/path.ts';

export interface MasterOnTheSpot {
  /** What stands at the path, where all of it is known, durable, and may be believed now. PermissionDenied when the principal may not look for it there. */
  statNow(path: ByteString, options: PathOptions, principal: Principal): FileInfo | undefined;
  /** The same by inode, and by what a directory has under a name; also that it has nothing. */
  statInodeNow(inode: InodeId): NodeInfo | undefined;
  /** MasterApi.retain, of a file with bytes that can be read; of nothing else. Overloaded. */
  retainNow(inode: InodeId, holder: string): FileInfo | undefined;
  /** MasterApi.release; false: the ordinary way, for it may be the end of a file without a name. */
  releaseNow(inode: InodeId, holder: string): boolean;
  lookupNow(directory: InodeId, name: ByteString, kind: PathKind): LookupResult | undefined;
  /** Whether any directory has a quota. */
  hasQuotasNow(): boolean;
  /** Nothing can be written below the mount, whoever asks. */
  isReadOnlyNow(mount: MountId): boolean;
  /** The same of a file whose bytes will be read. PermissionDenied also when the principal may not. */
  openNow(path: ByteString, principal: Principal): FileInfo | undefined;
}

export interface WorkerOnTheSpot {
  /** Bytes that are cached and known to be sound. `range` lies within the content. */
  readNow(content: ReadableContent, range: ByteRange): Body | undefined;
  /** The same from `offset` on, as many bytes as `into` has, which lie within the content: copied there, if that needs no waiting. */
  readInto(content: ReadableContent, offset: number, into: Uint8Array): boolean;
  /** WorkerApi.writeDraft, of some bytes, beside no other change of the draft; false: the ordinary way, which may write some of them again. */
  writeDraftNow(draft: number, position: number, bytes: Uint8Array): boolean;
  /** The content, which has some bytes, as one local file, where it is all there and known to be sound; neither store nor a long check is waited for. */
  leaseWhole(content: ReadableContent, context: CallContext): Promise<FileLease | undefined>;
}
