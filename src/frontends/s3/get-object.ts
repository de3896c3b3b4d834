/** GetObject and HeadObject. */
import {type ByteString, toText} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {type Conditions, judge, parseConditions} from '#codec/s3/conditions.ts';
import {httpDate} from '#codec/s3/http-date.ts';
import {parseRange, type RequestedRange} from '#codec/s3/range.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import type {FileSystem, OpenedNow, OpenFile} from '#client/file-system.ts';
import {discard} from '#client/opened-file.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {ByteRange} from '#contracts/worker-api.ts';
import {type CustomerKey, customerKeyHeaders} from '#codec/s3/customer-key.ts';
import {customerKeyOf, refuseEncryptionHeader} from '#frontends/s3/encryption.ts';
import {needs} from '#frontends/s3/access/operations.ts';
import {asksForChecksums, checkOverrides, checksumHeaderPairs, checksumTypeOfValues, objectHeaders} from '#frontends/s3/object-headers.ts';
import {checksumsOfPart, partOf, partsCountOf} from '#frontends/s3/object-parts.ts';
import {answer, bucketOf, bucketPath, etagOf, isShown, keyOf, modifiedOf, objectPath, type Operation, type S3Request} from '#frontends/s3/request.ts';
import {checkKey, openerOf} from '#frontends/s3/opening.ts';
import {refuseMarker, versionHeaders, versionOf} from '#frontends/s3/versions.ts';

/** Throws or answers when a condition does not hold; true when the request is done with. */
async function conditionsFail(request: S3Request, info: FileInfo, conditions = parseConditions((name) => request.header(name))): Promise<boolean> {
  if (!conditions) return false;
  const modified = modifiedOf(info);
  switch (judge(conditions, etagOf(info), Number(modified / 1_000_000_000n) * 1000)) {
    case 'pass':
      return false;
    case 'failed':
      throw new S3Error('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold.', {Condition: conditions.ifMatch === undefined ? 'If-Unmodified-Since' : 'If-Match'});
    case 'not-modified':
      await answer(request, 304, ['ETag', `"${etagOf(info)}"`, 'Last-Modified', httpDate(modified), ...versionHeaders(info)]);
      return true;
  }
}

const noKey = '' as ByteString;

function notFound(request: S3Request): S3Error {
  return new S3Error('NoSuchKey', 'The specified key does not exist.', {Key: toText(request.target.key ?? noKey)});
}

function checkShown(request: S3Request, info: FileInfo): void {
  refuseMarker(info);
  const wantsDirectory = keyOf(request).endsWith('/');
  if ((info.inode.kind === 'directory') !== wantsDirectory || !isShown(info)) throw notFound(request);
  request.access.check(needs.getObject, info);
}

/** `partNumber` of the query. InvalidArgument; InvalidRequest beside a range. */
function partNumberOf(request: S3Request): number | undefined {
  if (request.target.query.length === 0) return undefined;
  const text = request.query('partNumber');
  if (text === undefined) return undefined;
  if (!/^\d{1,5}$/.test(text) || Number(text) < 1 || Number(text) > 10_000) {
    throw new S3Error('InvalidArgument', 'Part number must be an integer between 1 and 10000, inclusive.', {ArgumentName: 'partNumber', ArgumentValue: text});
  }
  if (request.header('range') !== undefined) throw new S3Error('InvalidRequest', 'Cannot specify both Range header and partNumber query parameter');
  return Number(text);
}

async function rangeOfPart(request: S3Request, info: FileInfo, partNumber: number): Promise<RequestedRange | undefined> {
  const part = await partOf(request, info, partNumber);
  if (part) return part.length === 0 ? undefined : part;
  const fields = {ActualPartCount: String(partsCountOf(info) ?? 1), PartNumberRequested: String(partNumber)};
  // Nobody sees the code of a HEAD's answer, only its status.
  if (request.exchange.method === 'HEAD') throw new S3Error('InvalidPartNumber', 'The requested partnumber is not satisfiable', fields);
  throw new S3Error('InvalidPart', 'The requested partnumber is not satisfiable', fields);
}

/** How many parts there are, and the part's own checksum, of the type that the object's has. */
async function partHeaders(request: S3Request, info: FileInfo, partNumber: number): Promise<readonly string[]> {
  const count = partsCountOf(info);
  const counted = count === undefined ? [] : ['x-amz-mp-parts-count', String(count)];
  const type = asksForChecksums(request) ? checksumTypeOfValues(info.inode.content?.checksums ?? {}) : undefined;
  if (!type) return counted;
  const values = checksumHeaderPairs(await checksumsOfPart(request, info, partNumber));
  return values.length === 0 ? counted : [...counted, ...values, 'x-amz-checksum-type', type];
}

export const headObject: Operation = async (request) => {
  refuseEncryptionHeader(request);
  checkOverrides(request);
  const key = customerKeyOf(request);
  const partNumber = partNumberOf(request);
  const path = objectPath(bucketOf(request), keyOf(request));
  const info = request.ahead?.info ?? (await request.files.stat(path, {kind: 'file', ...versionOf(request)}, request.context));
  checkShown(request, info);
  const asked = partNumber === undefined ? parseRange(request.header('range')) : await rangeOfPart(request, info, partNumber);
  checkKey(info, key);
  if (await conditionsFail(request, info)) return;
  const length = info.inode.content?.length ?? info.length;
  const range = meant(asked, length);
  const headers = [...objectHeaders(request, info, partNumber === undefined && !range), ...(partNumber === undefined ? [] : await partHeaders(request, info, partNumber)), ...customerKeyHeaders(key)];
  if (!range) return answer(request, 200, headers, length === 0 ? undefined : {kind: 'stream', length, stream: nothing});
  const {offset, length: part} = within(range, length);
  return answer(request, 206, [...headers, ...contentRange({offset, length: part}, length)], {kind: 'stream', length: part, stream: nothing});
};

const nothing: AsyncIterable<Uint8Array> = {[Symbol.asyncIterator]: () => ({next: () => Promise.resolve({done: true, value: undefined})})};

/** The last bytes of nothing are all of it, as S3 has it. */
function meant(range: RequestedRange | undefined, length: number): RequestedRange | undefined {
  return range && length === 0 && 'suffix' in range && range.suffix > 0 ? undefined : range;
}

function within(range: RequestedRange, length: number): {offset: number; length: number} {
  const offset = 'suffix' in range ? Math.max(0, length - range.suffix) : range.offset;
  const end = 'suffix' in range || range.length === undefined ? length : Math.min(length, range.offset + range.length);
  if (offset >= end) throw notSatisfiable(length);
  return {offset, length: end - offset};
}

function contentRange({offset, length}: ByteRange, whole: number): [string, string] {
  return ['Content-Range', `bytes ${offset}-${offset + length - 1}/${whole}`];
}

function notSatisfiable(length: number): S3Error {
  return new S3Error('InvalidRange', 'The requested range is not satisfiable', {ActualObjectSize: String(length)});
}

/** The marker of a directory that was made by somebody and has no bytes. */
async function getMarker(request: S3Request, info: FileInfo, key: CustomerKey | undefined): Promise<void> {
  checkShown(request, info);
  checkKey(info, key);
  if (await conditionsFail(request, info)) return;
  const range = meant(parseRange(request.header('range')), 0);
  if (range) throw notSatisfiable(0);
  return answer(request, 200, [...objectHeaders(request, info, true), ...customerKeyHeaders(key)]);
}

export const getObject: Operation = (request) => {
  refuseEncryptionHeader(request);
  checkOverrides(request);
  const key = customerKeyOf(request);
  const partNumber = partNumberOf(request);
  const path = objectPath(bucketOf(request), keyOf(request));
  const range = parseRange(request.header('range'));
  const conditions = parseConditions((name) => request.header(name));
  const version = versionOf(request);
  const plain = !key && !conditions && partNumber === undefined && version.version === undefined;
  return (plain ? getNow(request, path, range) : undefined) ?? getInTime(request, path, {key, range, partNumber, conditions, version});
};

/** What `getObject` and `headObject` would find on the spot, for a front end that is in another thread. Undefined where they would not look. */
export function findAhead(request: S3Request): ReturnType<FileSystem['findAhead']> {
  const {bucket, key, query} = request.target;
  if (bucket === undefined || key === undefined || key.endsWith('/') || unusual.some((name) => request.header(name) !== undefined)) return undefined;
  if (query.some(([name]) => !signing.test(name))) return undefined;
  const range = request.exchange.method === 'HEAD' ? undefined : (parseRange(request.header('range')) ?? {offset: 0});
  return request.files.findAhead(bucketPath(bucket), objectPath(bucket, key), range);
}

/** What a presigned URL is signed with. */
const signing = /^X-Amz-(Algorithm|Credential|Date|Expires|SignedHeaders|Signature|Security-Token|Content-Sha256)$/;
const unusual = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'x-amz-server-side-encryption-customer-algorithm'];

function openedAhead({ahead}: S3Request): OpenedNow | undefined {
  const opened = ahead?.opened;
  if (ahead) ahead.opened = undefined;
  return opened;
}

/** What is known and cached leaves in the turn in which it was asked for. Undefined where that is not so. */
function getNow(request: S3Request, path: ByteString, range: RequestedRange | undefined): Promise<void> | undefined {
  const opened = request.ahead ? openedAhead(request) : request.files.openNow(path, range ?? {offset: 0}, request);
  if (!opened) return undefined;
  const {info, body} = opened;
  try {
    request.access.check(needs.getObject, info);
    return range ? answer(request, 206, [...objectHeaders(request, info, false), ...contentRange(opened.range, info.length)], body) : answer(request, 200, objectHeaders(request, info, true), body);
  } catch (error) {
    discard(body);
    throw error;
  }
}

interface Wanted {
  readonly key: CustomerKey | undefined;
  readonly range: RequestedRange | undefined;
  readonly partNumber: number | undefined;
  readonly conditions: Conditions | undefined;
  readonly version: {readonly version?: string};
}

async function getInTime(request: S3Request, path: ByteString, {key: customerKey, range: asked, partNumber, conditions, version}: Wanted): Promise<void> {
  const key = keyOf(request);
  if (key.endsWith('/')) {
    const info = await request.files.stat(path, {kind: 'directory', ...version}, request.context);
    if (!info.inode.content?.length) return getMarker(request, info, customerKey);
  }
  if (version.version !== undefined) refuseMarker(await request.files.stat(path, {kind: 'file', ...version}, request.context));
  // A condition may end the request before any byte is read; otherwise reading begins with the open.
  const file: OpenFile = await request.files.open(path, {kind: 'file', sealed: true, ...version, ...(conditions || partNumber !== undefined ? {} : {range: asked ?? {offset: 0}})}, request.context);
  await using _open = file;
  checkShown(request, file.info);
  const part = partNumber === undefined ? undefined : await rangeOfPart(request, file.info, partNumber);
  const opened = await openerOf(request, file.info, customerKey);
  if (conditions && (await conditionsFail(request, file.info, conditions))) return;
  const length = file.info.inode.content?.length ?? file.info.length;
  const range = partNumber === undefined ? meant(asked, length) : part;
  const headers = objectHeaders(request, file.info, partNumber === undefined && !range);
  headers.push(...customerKeyHeaders(customerKey));
  if (partNumber !== undefined) headers.push(...(await partHeaders(request, file.info, partNumber)));
  if (!range && length === 0) return answer(request, 200, headers);
  let wanted;
  try {
    wanted = file.resolve(range);
  } catch (error) {
    throw isKind(error, 'RangeNotSatisfiable') ? notSatisfiable(length) : error;
  }
  if (wanted.length === 0) throw notSatisfiable(length);
  const body = await opened(wanted, await file.read(wanted, request.context));
  if (!range) return answer(request, 200, headers, body);
  return answer(request, 206, [...headers, ...contentRange(wanted, length)], body);
}
