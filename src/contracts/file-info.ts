/** What is told of a file or directory, and how a path is meant. */
import type {ByteString} from '#base/byte-string.ts';
import type {MountId} from '#base/ids.ts';
import type {Inode} from '#model/inode.ts';
import type {PathKind} from '#model/path.ts';

export interface FileInfo {
  /** Canonical: a directory's ends in `/`. */
  readonly path: ByteString;
  readonly inode: Inode;
  /** Bytes; 0 for directories. */
  readonly length: number;
  readonly mount: MountId;
  /** The path's bucket keeps versions, or did: its version id (model/version.ts) means something. Told by what names versions. */
  readonly versioned?: true;
  /** Of a directory that was looked at, not changed: how many directories it holds. */
  readonly subdirectories?: number;
  /** A delete marker: the inode is nothing but its id, owner and times. */
  readonly deleteMarker?: true;
}

export interface PathOptions {
  readonly kind?: PathKind;
  /** This version of the key (model/version.ts), current or not, instead of what the path shows. NotFound (`s3`: NoSuchVersion) when there is none. */
  readonly version?: string;
}
