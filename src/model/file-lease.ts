/** A lease: the right to a descriptor of cached bytes. What is leased is not changed, moved, punched or reused until it is given back. */

/** An open file of this host. Opaque: only the runtime that made it can look inside. */
export interface Descriptor {
  readonly descriptor: unique symbol;
}

export interface FileLease extends Disposable {
  readonly file: Descriptor;
  /** Bytes, from the start of the file. */
  readonly offset: number;
  readonly length: number;
  /** Known to be in the page cache (just written, sent or read), so that sending it will not wait for a disk. */
  readonly resident: boolean;
  /** For receivers that cannot send by the kernel: bytes from `position` in the file, as DiskFile.read. */
  read(into: Uint8Array, position: number): Promise<number>;
  /**
   * Files that others may change (stores read in place): called after the bytes were taken and before the last of them
   * is vouched for. Throws ContentChanged; then what was sent must not look complete.
   */
  validate?(): Promise<void>;
  /**
   * Lets the kernel have the file, to read it by itself: programs may map it, and their maps outlive descriptors, this lease and this process, and
   * nobody is told. So the file stays as it is from now on, until it is forgotten as a whole. Undefined where that cannot be promised.
   */
  lend?(): Promise<Descriptor | undefined>;
}
