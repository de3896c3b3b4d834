/** What a file looks like as an object of a store. */
import {hash} from 'node:crypto';
import type {ByteString} from '#base/byte-string.ts';
import type {FileStat} from '#runtime/disk.ts';
import type {StoreObject} from '#understore/under-store.ts';

/**
 * Any change of bytes changes ctime, any replacement the inode: what is left unseen are two changes of one length within one
 * tick of the kernel's clock (1–4 ms; none on kernels with multigrain timestamps).
 */
export function fingerprintOf(stat: FileStat): string {
  return [stat.device, stat.inode, BigInt(stat.size), stat.mtimeNs, stat.ctimeNs].map(part => part.toString(36)).join('.');
}

/** Undefined for what is no object: sockets, pipes, devices. `fingerprint`: under which it is known (see Place). `target`: of symbolic links. */
export function objectOf(key: ByteString, stat: FileStat, fingerprint: string, target?: ByteString): StoreObject | undefined {
  if (stat.kind === 'other') return undefined;
  return {
    key,
    kind: stat.kind,
    length: stat.kind === 'directory' ? 0 : stat.size,
    fingerprint,
    // Looks like that of a multipart upload, so that no client takes it for the MD5 of the bytes.
    etag: `${hash('md5', fingerprint)}-1`,
    modified: stat.mtimeNs,
    checksums: {},
    metadata: {},
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    ...(target === undefined ? {} : {target}),
  };
}
