/**
 * Ids are counters that never repeat within one instance. They are plain numbers: at a million a second, the 2^53 that a
 * number holds exactly last 285 years. On disk and on the wire they are 8 bytes.
 */
export type InodeId = number & {readonly __inode: never};
export type ContentId = number & {readonly __content: never};
export type MountId = number & {readonly __mount: never};

export const rootInodeId = 1 as InodeId;
