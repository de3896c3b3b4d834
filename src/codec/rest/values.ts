/** How files, mounts and errors look in JSON: in REST answers and in the command line's `--json`. */
import {type ByteString, fromText, isUtf8, toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {JobInfo, PathExplanation, PersistInfo} from '#contracts/administration.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {CacheLocation} from '#contracts/worker-api.ts';
import {s3XattrPrefix} from '#model/inode.ts';
import {isSealed, withoutSeal} from '#model/seal.ts';
import {parseSpecial} from '#model/special-file.ts';
import {defaultWriteType, formatFreshness, maskOptions, type Mount} from '#model/mount.ts';

const isoTime = (ns: bigint): string => new Date(Number(ns / 1_000_000n)).toISOString();

/** A path as text; where the bytes are not UTF-8, the exact bytes stand beside it in base64. */
export function pathJson(path: ByteString): {readonly path: string; readonly pathBase64?: string} {
  return {path: toText(path), ...(isUtf8(path) ? {} : {pathBase64: Buffer.from(path, 'latin1').toString('base64')})};
}

export function infoJson(info: FileInfo): Record<string, unknown> {
  const {inode} = info;
  const xattrs = inode.xattrs && Object.fromEntries(Object.entries(inode.xattrs).filter(([name]) => !name.startsWith(s3XattrPrefix)).map(([name, value]) => [name, Buffer.from(value).toString('base64')]));
  return {
    ...pathJson(info.path),
    kind: inode.kind,
    id: inode.id,
    length: info.length,
    mode: (inode.mode & 0o7777).toString(8).padStart(4, '0'),
    uid: inode.uid,
    gid: inode.gid,
    mtime: isoTime(inode.mtime),
    ctime: isoTime(inode.ctime),
    ...(inode.content ? {etag: inode.content.etag, contentId: inode.content.id, metadata: withoutSeal(inode.content.metadata), checksums: inode.content.checksums} : {}),
    ...(inode.content && isSealed(inode.content) ? {encryption: 'SSE-C'} : {}),
    ...(inode.content?.pending ? {persist: inode.content.pending} : {}),
    ...(inode.target === undefined ? {} : inode.kind === 'special' ? {special: parseSpecial(inode.target).type} : {target: toText(inode.target)}),
    ...(inode.pinned ? {pinned: true} : {}),
    ...(xattrs ? {xattrs} : {}),
  };
}

/** Without secrets. */
export function mountJson(mount: Mount): Record<string, unknown> {
  return {
    ...pathJson(mount.path),
    uri: mount.uri,
    readOnly: mount.readOnly,
    freshness: formatFreshness(mount.freshness),
    writeType: mount.writeType ?? defaultWriteType,
    options: maskOptions(mount.options),
  };
}

/** Times in ms since 1970. */
export function persistJson(info: PersistInfo): Record<string, unknown> {
  return {...info, ...pathJson(info.path)};
}

export function jobJson(job: JobInfo): Record<string, unknown> {
  return {...job, ...pathJson(job.path)};
}

export function explanationJson(master: PathExplanation, cache: CacheLocation | undefined): Record<string, unknown> {
  return {
    ...infoJson(master.info),
    store: {uri: master.mount.uri, key: toText(master.storeKey)},
    fresh: master.fresh,
    checkedAt: master.checkedAt,
    validUntil: master.validUntil,
    reason: master.reason,
    metadataRequests: master.upstreamRequests,
    ...(cache ? {cache} : {}),
  };
}

/** Bytes of a percent-encoded query value; `+` is a space. InvalidArgument for broken escapes. */
export function decodeQueryBytes(text: string): ByteString {
  return text.replaceAll('+', ' ').replace(/%(.{0,2})/gs, (_, hex: string) => {
    if (!/^[0-9a-f]{2}$/i.test(hex)) throw new WeirError('InvalidArgument', `a broken escape in the query: %${hex}`);
    return String.fromCharCode(Number.parseInt(hex, 16));
  }) as ByteString;
}

/** The query of a raw request target: names to values, still as bytes. The last of several wins. */
export function parseQuery(target: string): Map<string, ByteString> {
  const at = target.indexOf('?');
  const query = new Map<string, ByteString>();
  if (at < 0) return query;
  for (const pair of target.slice(at + 1).split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decodeQueryBytes(equals < 0 ? pair : pair.slice(0, equals));
    query.set(name, equals < 0 ? fromText('') : decodeQueryBytes(pair.slice(equals + 1)));
  }
  return query;
}
