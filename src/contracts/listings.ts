/** Pages of what lies below a directory, and of the versions there. */
import type {ByteString} from '#base/byte-string.ts';
import type {FileInfo} from '#contracts/file-info.ts';

export interface ListRequest {
  /** Where to list: a directory. The keys below are relative to it, `/`-separated, directories' keys end in `/`. */
  readonly directory: ByteString;
  /** Only keys that start with this; may end inside a name. */
  readonly prefix?: ByteString;
  /** Only keys greater than this, in byte order. With `delimiter`, a key that ends in it also skips all that starts with it. */
  readonly after?: ByteString;
  /** Fold keys that share a prefix up to the first `delimiter` after `prefix` into one. `/` is O(page); others may scan. */
  readonly delimiter?: ByteString;
  /** Entries a page, 1 to 10 000. */
  readonly limit: number;
  /**
   * `keys`: what S3 shows, that is files and directories with a marker (or empty and explicitly made), implied ones only folded.
   * `children`: what a file system shows: the direct children, each once, in key order (delimiter is ignored).
   * `tree`: like children, but all the way down, parents before their children.
   */
  readonly view: 'keys' | 'children' | 'tree';
}

/** `shadowed`, in the view `children`: a file beside a directory of its name, for those who can show only one of them by it. */
export type ListEntry = {readonly key: ByteString; readonly info: FileInfo; readonly shadowed?: true} | {readonly key: ByteString; readonly folded: true};

export interface ListPage {
  readonly entries: readonly ListEntry[];
  /** `after` for the next page; absent at the end. */
  readonly next?: ByteString;
  /** Of the view `children`: as NodeInfo.validUntil, of the page and of each entry. */
  readonly validUntil?: number;
}

export interface ListVersionsRequest extends Pick<ListRequest, 'directory' | 'prefix' | 'delimiter' | 'limit'> {
  /** Only what follows this version of this key; without a version, all of the key are skipped. */
  readonly after?: {readonly key: ByteString; readonly version?: string};
}

/** `latest`: what the key shows, or the delete marker that hides it. */
export type VersionEntry = {readonly key: ByteString; readonly latest: boolean; readonly info: FileInfo} | {readonly key: ByteString; readonly folded: true};

export interface VersionPage {
  readonly entries: readonly VersionEntry[];
  /** `after` for the next page; absent at the end. */
  readonly next?: {readonly key: ByteString; readonly version?: string};
}
