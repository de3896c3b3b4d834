/**
 * The parts that an object was uploaded in, for reading one by its number. Their records stay with the object; where each begins is the
 * sum of those before, so it is kept for the objects asked for last.
 */
import {LRUCache} from 'lru-cache';
import type {ContentId} from '#base/ids.ts';
import type {FileSystem} from '#client/file-system.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {shownChecksums} from '#frontends/s3/multipart.ts';
import type {S3Request} from '#frontends/s3/request.ts';
import type {ChecksumAlgorithm, Checksums} from '#model/content.ts';

const partsAPage = 1000;
/** Objects; each takes up to 160 KB (10 000 parts), those under keys of clients up to 2 MB. */
const layoutsMax = 64;

interface Layout {
  readonly numbers: readonly number[];
  /** Where each part begins, and behind them the end. */
  readonly offsets: readonly number[];
  /** Of sealed parts; empty where no part has one. */
  readonly salts: readonly (Uint8Array | undefined)[];
}

export interface ObjectPart {
  readonly offset: number;
  readonly length: number;
}

/** Of one part, by the algorithm that the upload was begun with; what came whole is its own part 1. */
export async function checksumsOfPart({files, context}: S3Request, info: FileInfo, partNumber: number): Promise<Checksums> {
  const {upload, checksums = {}} = info.inode.content ?? {};
  if (!upload) return checksums;
  if (!upload.checked) return {};
  const [part] = await files.listParts(info.path, upload.id, partNumber - 1, 1, context);
  const [algorithm] = Object.keys(checksums) as ChecksumAlgorithm[];
  return part?.partNumber === partNumber ? shownChecksums(part.checksums, algorithm) : {};
}

const layouts = new WeakMap<FileSystem, LRUCache<ContentId, Layout>>();

/** How many parts the object was uploaded in; undefined when it came whole, or is not known to have come here. */
export function partsCountOf(info: FileInfo): number | undefined {
  return info.inode.content?.upload?.parts;
}

/** Undefined when there is no such part. What came whole is its own part 1. */
export async function partOf(request: S3Request, info: FileInfo, partNumber: number): Promise<ObjectPart | undefined> {
  const {content} = info.inode;
  if (!content?.upload) return partNumber === 1 ? {offset: 0, length: content?.length ?? 0} : undefined;
  const {numbers, offsets} = await layoutOf(request, info, content.upload.id);
  const i = numbers.indexOf(partNumber);
  return i < 0 ? undefined : {offset: offsets[i]!, length: offsets[i + 1]! - offsets[i]!};
}

/** Of an object that was uploaded in parts. */
export async function layoutOf({files, context}: S3Request, info: FileInfo, uploadId: string): Promise<Layout> {
  const content = info.inode.content!.id;
  let known = layouts.get(files);
  if (!known) layouts.set(files, (known = new LRUCache({max: layoutsMax})));
  const kept = known.get(content);
  if (kept) return kept;
  const numbers: number[] = [];
  const offsets = [0];
  const salts: (Uint8Array | undefined)[] = [];
  for (;;) {
    const page = await files.listParts(info.path, uploadId, numbers.at(-1) ?? 0, partsAPage, context);
    for (const {partNumber, length, salt} of page) {
      numbers.push(partNumber);
      offsets.push(offsets.at(-1)! + length);
      salts.push(salt);
    }
    if (page.length < partsAPage) break;
  }
  const layout = {numbers, offsets, salts: salts.every((salt) => salt === undefined) ? [] : salts};
  known.set(content, layout);
  return layout;
}
