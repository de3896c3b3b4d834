/** Every decoder of src/codec, and what must hold of its outcomes: one line each. Those of what comes from outside as whole conversations: outside.ts. */
import {isUtf8 as isUtf8Bytes} from 'node:buffer';
import {crc32c} from '@node-rs/crc32';
import {type ByteString, isUtf8} from '#base/byte-string.ts';
import type {ContentId, InodeId, MountId} from '#base/ids.ts';
import {BackupDecoder, BackupEncoder} from '#codec/backup/backup.ts';
import {decodeLogRecord, encodeLogRecord} from '#codec/block/log-record.ts';
import {decodeDraftRecord, type DraftRecord, encodeDraftRecord} from '#codec/draft/log-record.ts';
import {entryHeaderBytes, indexEntry, readEntryHeader, readIndexCount, SegmentIndexWriter, writeEntryHeader} from '#codec/block/segment.ts';
import {opcode} from '#codec/fuse/abi.ts';
import {decodeHeader, decodePosition, decodeSlot, encodeHeader, encodePosition, encodeSlot, type KeptSlot, slotBytes} from '#codec/fuse/kept-state.ts';
import {decodeRequest} from '#codec/fuse/request.ts';
import {ResponseParser} from '#codec/http/response-parser.ts';
import {decodeRecord, decodeSegmentHeader, decodeTransaction, encodeSegmentHeader, encodeTransaction, recordHeaderBytes, sealRecord, type TransactionRecord, transactionBytes} from '#codec/journal/record.ts';
import {decodeEntry, encodeEntry} from '#codec/namespace/entry-record.ts';
import {decodeGroup, decodeAccessKey, decodePolicy, decodeRealm, decodeUser, encodeGroup, encodeAccessKey, encodePolicy, encodeRealm, encodeUser} from '#codec/namespace/identity-record.ts';
import {decodeGarbage, encodeGarbage} from '#codec/namespace/garbage-record.ts';
import {decodePersist, encodePersist} from '#codec/namespace/persist-record.ts';
import {decodeEvent, decodeRenamedTree, decodeWebhook, decodeWebhookState, encodeEvent, encodeRenamedTree, encodeWebhook, encodeWebhookState} from '#codec/namespace/event-record.ts';
import {decodeRelocation, decodeVersion, encodeRelocation, encodeVersion} from '#codec/namespace/version-record.ts';
import {decodeInode, encodeInode, peekInode} from '#codec/namespace/inode-record.ts';
import {decodeQuota, encodeQuota} from '#codec/namespace/quota-record.ts';
import {decodeResult, encodeResult} from '#codec/namespace/request-result.ts';
import {decodePosixAcl, encodePosixAcl} from '#codec/namespace/posix-acl.ts';
import {decodeFileRename, decodeMove, decodePublication, decodeTombstone, encodeFileRename, encodeMove, encodePublication, encodeTombstone} from '#codec/namespace/intent-record.ts';
import {decodeMount, encodeMount} from '#codec/namespace/mount-record.ts';
import {decodeStoreUpload, encodeStoreUpload} from '#codec/namespace/store-upload-record.ts';
import {decodeOrphan, encodeOrphan} from '#codec/namespace/orphan-record.ts';
import {decodeTimer, encodeTimer} from '#codec/namespace/timer-record.ts';
import {decodePart, decodeUpload, encodePart, encodeUpload} from '#codec/namespace/upload-record.ts';
import {decodeNextId, decodeUsage, encodeNextId, encodeUsage} from '#codec/namespace/usage-record.ts';
import {parseQuery as parseRestQuery} from '#codec/rest/values.ts';
import {FrameKind, frameHeader, FrameParser} from '#codec/rpc/frames.ts';
import {decodeError, decodeValue, encodeError, encodeValue} from '#codec/rpc/values.ts';
import {AwsChunkedDecoder} from '#codec/s3/aws-chunked.ts';
import {parseCors} from '#codec/s3/cors.ts';
import {FormDecoder} from '#codec/s3/form-data.ts';
import {parsePostPolicy} from '#codec/s3/post-policy.ts';
import {parseCreateBucket} from '#codec/s3/create-bucket.ts';
import {decodeTags, encodeTags, parseTagging, parseTaggingHeader} from '#codec/s3/tagging.ts';
import {parseContentMd5, requestedChecksums} from '#codec/s3/checksums.ts';
import {etagMatches, judge, parseConditions, writePrecondition} from '#codec/s3/conditions.ts';
import {decodeToken, encodeKey, encodeToken, keysAPageMax, parseList} from '#codec/s3/listing.ts';
import {verifyPresignedV2} from '#codec/s3/presigned-v2.ts';
import {parseCopyRange, parseRange} from '#codec/s3/range.ts';
import {parseCustomerKey} from '#codec/s3/customer-key.ts';
import {decodeSeal, encodeSeal, makeSeal} from '#codec/s3/seal.ts';
import {canonicalPath, canonicalRequest, checkTime, claimOfHeader, claimOfQuery, uriDecode, uriEncode} from '#codec/s3/sigv4.ts';
import {bucketOfHost, parseTarget} from '#codec/s3/target.ts';
import {lifecycleXml, parseLifecycle} from '#codec/s3/lifecycle-xml.ts';
import {objectLockXml, parseLegalHold, parseObjectLock, parseRetention, retentionXml} from '#codec/s3/object-lock-xml.ts';
import {eventMessage} from '#codec/s3/event-message.ts';
import {parseRestore} from '#codec/s3/restore-xml.ts';
import {parseVersioning} from '#codec/s3/versioning-xml.ts';
import {parseCompleteMultipartUpload, parseDelete} from '#codec/s3/xml-read.ts';
import {element, escapeXml, xmlDocument} from '#codec/s3/xml-write.ts';
import {WeirError} from '#base/errors.ts';
import {checksumAlgorithms, type Content} from '#model/content.ts';
import type {Inode} from '#model/inode.ts';
import {decodeRuns, encodeRuns, ownPageBytes, OwnPages, type PageRun} from '#model/own-pages.ts';
import {configurations, configurationSeeds} from './configuration-targets.ts';
import {accessDocuments, accessSeeds, json, policies, policySeeds} from './access-targets.ts';
import {decoder, record, stream} from './forms.ts';
import {mustEqual, outcome, type Target} from './fuzz.ts';
import {binary, chunks, headers, query, xml} from './mutate.ts';
import {outside} from './outside.ts';

const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');
const text = (input: Buffer) => input.toString('latin1');
const name = (value: string) => value as ByteString;

/** Lines of `name: value`. */
function headerReader(input: Buffer): {get: (name: string) => string | undefined; raw: string[]} {
  const pairs = text(input).split('\n').map((line): [string, string] => {
    const colon = line.indexOf(':');
    return colon < 0 ? [line.trim(), ''] : [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
  });
  return {get: (wanted) => pairs.find(([one]) => one.toLowerCase() === wanted)?.[1], raw: pairs.flat()};
}

/** The first two bytes choose the form and the announced length; every signature is `aaa…`. */
export function decodeChunked(pieces: readonly Buffer[], input: Buffer): {payload: string; trailers: unknown} {
  const form = input[0] ?? 0;
  const signature = 'a'.repeat(64);
  const chunked = new AwsChunkedDecoder({decodedLength: input[1] ?? 0, trailers: (form & 1) !== 0, chunkBytesMin: 1, ...(form & 2 ? {signed: {chunk: () => signature, trailer: () => signature}} : {})});
  const payload = pieces.flatMap((piece) => [...chunked.push(piece)].map(latin1)).join('');
  const {trailers} = chunked.finish();
  mustEqual(payload.length, input[1] ?? 0, 'the payload is not as long as announced');
  return {payload, trailers};
}

const signature = `;chunk-signature=${'a'.repeat(64)}`;
const chunkSeeds = [
  '\0\x033\r\nabc\r\n0\r\n\r\n', '\x01\x055\r\nabcde\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n', `\x02\x033${signature}\r\nabc\r\n0${signature}\r\n\r\n`,
  `\x03\x042${signature}\r\nab\r\n2${signature}\r\ncd\r\n0${signature}\r\nx-amz-checksum-crc32:AAAAAA==\n\r\nx-amz-trailer-signature:${'a'.repeat(64)}\r\n\r\n`,
];

/** Answers to GET: head, body, and what is left of the bytes. */
function decodeResponse(pieces: readonly Buffer[]): unknown {
  const parser = new ResponseParser('GET');
  let body = '';
  let rest = '';
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      if (parser.ended) {
        rest += latin1(piece.subarray(at));
        break;
      }
      const plain = Math.min(parser.plain, piece.length - at);
      body += latin1(piece.subarray(at, at + plain));
      if (plain > 0) parser.passed(plain);
      at += plain > 0 ? plain : parser.read(piece.subarray(at));
    }
  }
  const {head} = parser;
  if (head?.length !== undefined && body.length > head.length) throw new Error('a body longer than announced');
  return [head, body, rest, parser.close()];
}

const responseSeeds = [
  'HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\nETag: "e"\r\n\r\nabc', 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\n0\r\nX: y\r\n\r\n',
  'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nto the end', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nConnection: close\r\n\r\n',
];

export function decodeFrames(pieces: readonly Buffer[]): unknown {
  const parser = new FrameParser();
  return [pieces.flatMap((piece) => [...parser.push(piece)].map(({kind, stream: id, payload}) => [kind, id, latin1(payload)])), parser.pendingBytes];
}
const frameSeeds = [Buffer.concat([frameHeader(FrameKind.call, 1, 3), Buffer.from('abc'), frameHeader(FrameKind.end, 1, 0), frameHeader(FrameKind.data, 7, 2), Buffer.from('xy')])];

function decodeBackup(pieces: readonly Buffer[]): unknown {
  const backup = new BackupDecoder();
  const entries = pieces.flatMap((piece) => [...backup.push(piece)].flat().map(({key, value}) => [key, latin1(value)]));
  return [entries, backup.end()];
}

function backupSeed(): Buffer {
  const encoder = new BackupEncoder(5);
  const parts: (Buffer | undefined)[] = [encoder.header()];
  for (const key of ['a', 'b', 'c']) {
    encoder.add(name(key), Buffer.from(key.repeat(5)));
    parts.push(encoder.block());
  }
  parts.push(encoder.end());
  return Buffer.concat(parts.filter((part) => part !== undefined));
}

/** The same bytes with the checksums that a backup of them would have, as far as they are frames. */
function resealed(input: Buffer): Buffer {
  const backup = Buffer.from(input);
  if (backup.length < 20) return backup;
  let crc = crc32c(backup.subarray(0, 16));
  backup.writeUInt32LE(crc, 16);
  for (let at = 20; at + 9 <= backup.length; ) {
    const crcAt = at + 5 + backup.readUInt32LE(at + 1);
    if (crcAt + 4 > backup.length) break;
    crc = crc32c(backup.subarray(at, crcAt), crc);
    backup.writeUInt32LE(crc, crcAt);
    at = crcAt + 4;
  }
  return backup;
}

const transactions: TransactionRecord[] = [
  {mutations: [{key: name('key'), value: Buffer.from('value')}, {key: name('gone'), value: null}]},
  {mutations: [], request: {client: 'client', counter: 7, acknowledged: 6, result: Buffer.from([1, 2])}},
];

function encodeWholeTransaction(value: TransactionRecord): Buffer {
  const buffer = Buffer.alloc(transactionBytes(value));
  return buffer.subarray(0, encodeTransaction(value, buffer, 0));
}

/** The same bytes as a record whose checksum is right, so that mutations reach what lies behind it. */
function sealedRecord(payload: Uint8Array): Buffer {
  const sealed = Buffer.concat([Buffer.alloc(recordHeaderBytes), payload]);
  sealRecord(sealed, 0, payload.length, 9, 8);
  return sealed;
}

function sealedLogRecord(payload: Uint8Array): Buffer {
  const frame = Buffer.concat([Buffer.alloc(8), payload]);
  frame.writeUInt32LE(payload.length, 0);
  frame.writeUInt32LE(crc32c(frame.subarray(8)), 4);
  return frame;
}

function sealedIndex(input: Buffer): Buffer {
  const index = Buffer.from(input);
  if (index.length >= 16) index.writeUInt32LE(crc32c(index.subarray(16)), 8);
  return index;
}

const content: Content = {
  id: 6 as ContentId, length: 300, mount: 1 as MountId, storeKey: name('k'), fingerprint: '"x"', etag: 'd41d8cd98f00b204e9800998ecf8427e', checksums: {crc32: 'AAAAAA=='},
  metadata: {'content-type': 'a/b'}, committedAt: 4n,
};
const inodes: Inode[] = [
  {id: 5 as InodeId, kind: 'file', parent: 1 as InodeId, name: name('f'), mode: 0o644, uid: 1, gid: 2, atime: 3n, mtime: 3n, ctime: 4n, checkedAt: 9, pinned: true, content, xattrs: {'user.x': Buffer.from('1')}},
  {
    id: 5 as InodeId, kind: 'directory', parent: 1 as InodeId, name: name('d'), mode: 0o755, uid: 0, gid: 0, atime: 1n, mtime: 2n, ctime: 3n, checkedAt: 0, implied: true, listedAt: 8,
    storePrefix: name('p/'), mount: 2 as MountId,
  },
  {id: 5 as InodeId, kind: 'symlink', parent: 1 as InodeId, name: name('l'), mode: 0o777, uid: 0, gid: 0, atime: 1n, mtime: 1n, ctime: 1n, checkedAt: 0, target: name('../x')},
];
const somewhere = name('some/where');

/** Whatever a document was read as must be read the same from our own writing of it. */
function documents(input: Buffer): void {
  outcome(() => parseCreateBucket(input));
  outcome(() => parseCors(input));
  outcome(() => parsePostPolicy(input.toString('base64')));
  outcome(() => {
    const form = new FormDecoder('b');
    for (const event of form.push(input)) if ('data' in event && event.data.length > input.length) throw new Error('a file of more bytes than came');
    form.finish();
  });
  outcome(() => parseVersioning(input));
  const days = outcome(() => parseRestore(input));
  if (days !== 'refused' && !(days.value >= 1)) throw new Error(`restored for ${days.value} days`);
  outcome(() => parseLegalHold(input));
  const retention = outcome(() => parseRetention(input));
  if (retention !== 'refused' && retention.value) mustEqual(parseRetention(Buffer.from(retentionXml(retention.value))), retention.value, 'a retention comes back changed');
  const lock = outcome(() => parseObjectLock(input));
  if (lock !== 'refused') mustEqual(parseObjectLock(Buffer.from(objectLockXml(lock.value))), lock.value, 'an object lock comes back changed');
  const rules = outcome(() => parseLifecycle(input, () => 'new'));
  if (rules !== 'refused') mustEqual(parseLifecycle(Buffer.from(lifecycleXml(rules.value)), () => 'new'), rules.value, 'lifecycle rules come back changed');
  for (const read of [() => parseTagging(input, 'bucket'), () => parseTaggingHeader(input.toString('latin1'))]) {
    const tags = outcome(read);
    if (tags !== 'refused') mustEqual(JSON.stringify(decodeTags(encodeTags(tags.value))), JSON.stringify(tags.value), 'tags come back changed');
  }
  const parts = outcome(() => parseCompleteMultipartUpload(input));
  if (parts !== 'refused') {
    for (const {partNumber, checksums} of parts.value) {
      if (!(partNumber >= 1)) throw new Error(`part number ${partNumber}`);
      for (const key of Object.keys(checksums)) if (!(checksumAlgorithms as readonly string[]).includes(key)) throw new Error(`checksum ${key}`);
    }
  }
  const listed = outcome(() => parseDelete(input));
  if (listed === 'refused') return;
  if (!isUtf8Bytes(input)) throw new Error('a document that is not UTF-8 was read');
  const keys = listed.value.objects.map(({key}) => key);
  const written = xmlDocument('Delete', keys.map((key) => `<Object>${element('Key', key)}</Object>`).join(''));
  mustEqual(parseDelete(Buffer.from(written)).objects.map(({key}) => key), keys, 'keys come back changed');
}

const get = {method: 'GET', payloadHash: 'UNSIGNED-PAYLOAD', rawHeaders: ['host', 'h']};

function s3Target(input: Buffer): void {
  const {bucket, key, query: pairs, rawPath} = parseTarget(text(input), bucketOfHost('b.example', ['example']));
  if (bucket === '' || key === '') throw new Error('an empty name');
  if (key !== undefined && (!isUtf8(key) || key.length > 1024)) throw new Error('a key that cannot be one');
  mustEqual(uriDecode(canonicalPath(rawPath)), uriDecode(rawPath), 'the canonical path is another path');
  canonicalRequest({...get, rawPath, query: pairs}, ['host']);
  outcome(() => {
    const claim = claimOfQuery(pairs);
    if (claim) checkTime(claim, 1.7e12);
  });
  outcome(() => verifyPresignedV2({method: 'GET', resource: rawPath, headers: ['host', 'h'], query: pairs, secret: 's', nowMs: 0}));
  const list = parseList(pairs);
  if (!(list.limit >= 0 && list.limit <= keysAPageMax)) throw new Error(`a page of ${list.limit}`);
  if (list.after !== undefined) mustEqual(decodeToken(encodeToken(list.after)), list.after, 'a token comes back changed');
  mustEqual(uriDecode(encodeKey(list.prefix)), list.prefix, 'a key comes back changed');
}

function s3Headers(input: Buffer): void {
  const {get: header, raw} = headerReader(input);
  outcome(() => {
    const claim = claimOfHeader(header('authorization') ?? '', header('x-amz-date'));
    canonicalRequest({...get, rawPath: '/', query: [], rawHeaders: raw}, claim.signedHeaders);
    checkTime(claim, 1.7e12);
  });
  outcome(() => requestedChecksums(header, raw));
  const md5 = outcome(() => parseContentMd5(header('content-md5') ?? ''));
  if (md5 !== 'refused' && !/^[0-9a-f]{32}$/.test(md5.value)) throw new Error(`an MD5 ${md5.value}`);
  outcome(() => writePrecondition(header));
  const conditions = parseConditions(header);
  if (conditions) judge(conditions, 'e', 1.7e12);
  etagMatches(header('if-match') ?? '', 'e');
  const range = parseRange(header('range'));
  if (range && Object.values(range).some((value) => !Number.isSafeInteger(value) || value < 0)) throw new Error('a range of no bytes');
  const copied = parseCopyRange(header('x-amz-copy-source-range') ?? '');
  if (copied && !(copied.length > 0)) throw new Error('a copy of no bytes');
}

const authorization = 'authorization: AWS4-HMAC-SHA256 Credential=K/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=abc\nx-amz-date: 20130524T000000Z\nhost: h';
const customerKeys = [
  ['algorithm: AES256', 'key: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=', 'key-md5: cLyPS3KoaSFGi/joRB3OUQ=='].map((line) => `x-amz-server-side-encryption-customer-${line}`).join('\n'),
];
const presigned =
  '/b/k%20y?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=K%2F20130524%2Fr%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=abc';

export const targets: Readonly<Record<string, Target>> = {
  ...outside,
  'backup': stream(binary, [backupSeed()], decodeBackup, {prepare: resealed}),
  'block-index': decoder(binary, [new SegmentIndexWriter().finish(), indexOf(3)], (input) => {
    const index = sealedIndex(input);
    for (let i = (readIndexCount(index) ?? 0) - 1; i >= 0; i--) indexEntry(index, i);
  }),
  'block-entry': decoder(binary, [entryHeader()], (input) => void readEntryHeader(input, 0)),
  'block-log': decoder(binary, [
    encodeLogRecord({kind: 'pages', id: 5 as ContentId, length: 9, file: 2, first: 1, checksums: Uint32Array.of(1, 2)}), encodeLogRecord({kind: 'absent', file: 1, first: 2, count: 3}),
    encodeLogRecord({kind: 'unlinked', file: 4}), encodeLogRecord({kind: 'kept', id: 5 as ContentId, pinned: true, dirty: false}),
    encodeLogRecord({kind: 'dead', life: 3, segment: 7, offsets: [24, 900]}), encodeLogRecord({kind: 'succeeds', id: 7 as ContentId, base: 5 as ContentId, length: 9, runs: Uint8Array.of(1, 2)}),
  ].map((one) => one.subarray(8)), (input) => {
    decodeLogRecord(input, 0);
    const found = decodeLogRecord(sealedLogRecord(input), 0);
    if (typeof found !== 'object') return;
    // The length may differ: what was read in an older form is written in today's.
    const again = decodeLogRecord(encodeLogRecord(found.record), 0);
    mustEqual(typeof again === 'object' ? again.record : again, found.record, 'a record comes back changed');
  }),
  'own-pages': decoder(binary, [Buffer.from(encodeRuns([{first: 3, count: 1}, {first: 1000, count: 70_000}]))], (input) => {
    const runs = decodeRuns(input);
    mustEqual(decodeRuns(encodeRuns(runs)), runs, 'runs come back');
    // Whatever they tell of, a set has pages of its file and no more.
    const pages = new OwnPages();
    pages.addEncoded(input, 3_000 * ownPageBytes);
    const each = (some: Iterable<PageRun>) => Array.from(some).flatMap(({first, count}) => Array.from({length: Math.max(0, Math.min(first + count, 3_000) - first)}, (_, i) => first + i));
    mustEqual(each(pages.runs(0, Infinity)), each(runs), 'pages come back');
  }),
  'draft-log': decoder(binary, ([
    {kind: 'boot', boot: 'b'}, {kind: 'open', inode: 5 as InodeId, base: 6 as ContentId, seal: 0, bytes: Buffer.from('bytes')}, {kind: 'file', inode: 5 as InodeId, base: 0, seal: 7 as ContentId, name: 'mount-1'},
    {kind: 'write', inode: 5 as InodeId, modified: 9n, position: 3, bytes: Buffer.from('x')}, {kind: 'zero', inode: 5 as InodeId, modified: 9n, position: 3, length: 4},
    {kind: 'truncate', inode: 5 as InodeId, modified: 9n, length: 4}, {kind: 'synced', inode: 5 as InodeId},
    {kind: 'later', inode: 5 as InodeId, contents: [7 as ContentId, 8 as ContentId]}, {kind: 'end', inode: 5 as InodeId},
    {kind: 'partial', inode: 5 as InodeId, base: 6 as ContentId, seal: 7 as ContentId, end: 70_000, name: 'mount-1', own: Buffer.from([1, 2])},
    {kind: 'own', inode: 5 as InodeId, end: 70_000, own: Buffer.from([0x80, 1, 2])},
  ] satisfies DraftRecord[]).map((one) => Buffer.concat([...encodeDraftRecord(one)]).subarray(8)), (input) => {
    decodeDraftRecord(input, 0);
    const found = decodeDraftRecord(sealedLogRecord(input), 0);
    if (typeof found !== 'object') return;
    const again = decodeDraftRecord(Buffer.concat([...encodeDraftRecord(found.record)]), 0);
    mustEqual(typeof again === 'object' ? again.record : again, found.record, 'a record comes back changed');
  }),
  'http-response': stream(chunks, responseSeeds, decodeResponse),
  'journal-record': decoder(binary, [sealedRecord(encodeWholeTransaction(transactions[0]!)), encodeSegmentHeader(7)], (input) => {
    decodeSegmentHeader(input);
    decodeRecord(input, 0);
    mustEqual(typeof decodeRecord(sealedRecord(input), 0), 'object', 'a sealed record is not valid');
  }),
  'journal-transaction': record(transactions, encodeWholeTransaction, decodeTransaction),
  'namespace-entry': record([{id: 5 as InodeId, kind: 'directory', mount: 3 as MountId, prefixed: true}], encodeEntry, decodeEntry),
  'namespace-garbage': record([{content: 5 as ContentId, inode: 6 as InodeId, pinned: true, stored: {mount: 1 as MountId, storeKey: name('k')}}], encodeGarbage, (bytes) => decodeGarbage(5 as ContentId, bytes)),
  'identity-group': record([{policies: ['p'], inline: {a: '{}'}}], encodeGroup, decodeGroup),
  'identity-key': record([{user: 'u', secret: 's', active: true, description: 'd', createdAt: 5, expiresAt: 6}], encodeAccessKey, decodeAccessKey),
  'identity-policy': record([{text: '{}'}], encodePolicy, decodePolicy),
  'identity-realm': record([{accountId: '1', ownerId: '2', seal: Uint8Array.of(1, 2)}], encodeRealm, decodeRealm),
  'identity-user': record([{account: 'own' as const, accountId: '1', ownerId: '2', uid: 20_000, active: true, groups: ['g'], policies: ['p'], inline: {a: '{}'}, createdAt: 5}], encodeUser, decodeUser),
  'namespace-inode': record(inodes, (inode) => encodeInode(inode, somewhere), (bytes) => (outcome(() => peekInode(bytes)), decodeInode(5 as InodeId, bytes, somewhere))),
  'namespace-result': record([{path: name('/m/f'), inode: inodes[0]!, length: 3, mount: 2 as MountId}, {versionId: '7'}], encodeResult, decodeResult),
  'namespace-mount': record([
    {id: 2 as MountId, path: name('/m'), uri: 's3://b/', options: {a: 'b'}, readOnly: false, freshness: {kind: 'maxAge', ms: 5}, writeType: 'CACHE_THROUGH', createdAt: 1},
  ], encodeMount, decodeMount),
  'namespace-file-rename': record(
    [{id: 5 as InodeId, mount: 1 as MountId, from: name('a'), to: name('b'), fromPath: name('/a'), toPath: name('/b'), fingerprint: 'e', startedAt: 7, copied: true, request: {client: 'c', counter: 2, acknowledged: 1}}]
      .flatMap(rename => [rename, {...rename, copied: false, inStore: true as const, kept: {storeKey: name('c'), fingerprint: 'f'}}]),
    encodeFileRename, (bytes) => decodeFileRename(5 as InodeId, bytes),
  ),
  'namespace-move': record([{id: 5 as InodeId, mount: 1 as MountId, from: name('a/'), startedAt: 7}], encodeMove, (bytes) => decodeMove(5 as InodeId, bytes)),
  'namespace-next-id': record([300], encodeNextId, decodeNextId),
  'namespace-acl': record([{owner: 6, users: [{id: 5, permissions: 7}], group: 4, groups: [], mask: 7, other: 4}, {owner: 6, users: [], group: 4, groups: [], other: 4}], encodePosixAcl, decodePosixAcl),
  'namespace-quota': record([{limit: 100, used: 5}, {limit: 100, used: 5, countedTo: 7}], encodeQuota, decodeQuota),
  'namespace-part': record([{}, {salt: Uint8Array.of(7)}].map((more) => ({partNumber: 1, length: 5, etag: 'e', checksums: {sha1: 'x'}, storePart: 's', modifiedAt: 6n, ...more})), encodePart, decodePart),
  's3-seal': decoder(query, [encodeSeal(makeSeal(Buffer.alloc(32), 'whole', Buffer.alloc(32, 1)).seal), encodeSeal(makeSeal(Buffer.alloc(32), 'parts', Buffer.alloc(32, 2)).seal)], (input) => {
    const seal = decodeSeal(text(input));
    mustEqual(decodeSeal(encodeSeal(seal)), seal, 'a seal comes back changed');
  }),
  's3-customer-key': decoder(headers, customerKeys, (input) => {
    const {get: header} = headerReader(input);
    const key = parseCustomerKey(header);
    if (key) mustEqual(parseCustomerKey((wanted) => (wanted.endsWith('-key') ? Buffer.from(key.bytes).toString('base64') : header(wanted))), key, 'a key comes back changed');
  }),
  'namespace-timer': record([{dueMs: 5}, {dueMs: 5, progress: {startedAt: 4}}, {dueMs: 5, progress: {startedAt: 4, after: name('k')}}], encodeTimer, decodeTimer),
  'namespace-orphan': record([{id: 5 as InodeId, mount: 1 as MountId, holders: ['a', 'b'], shared: true}], encodeOrphan, (bytes) => decodeOrphan(5 as InodeId, bytes)),
  'namespace-store-upload': record([{mount: 2 as MountId, storeKey: name('k'), storeUploadId: 'u', openedAt: 5}], encodeStoreUpload, decodeStoreUpload),
  'namespace-persist': record([
    {id: 5 as InodeId, content: 7 as ContentId, mount: 1 as MountId, state: 'pending', base: 'absent', since: 9, failures: 0, attempts: []},
    {id: 5 as InodeId, content: 7 as ContentId, mount: 1 as MountId, state: 'conflict', base: {fingerprint: 'f'}, since: 9, failures: 2, lastError: 'e', attempts: [{content: 6 as ContentId, length: 3, etag: 'x'}]},
  ], encodePersist, (bytes) => decodePersist(5 as InodeId, bytes)),
  'namespace-relocation': record([{
    id: 5, kind: 'restore', inode: 6 as InodeId, content: 7 as ContentId, mount: 1 as MountId, from: name('.weir/versions/x'), fingerprint: 'f', to: name('k'), path: name('/b/k'),
  }], encodeRelocation, (bytes) => decodeRelocation(5, bytes)),
  'namespace-version': record(inodes.map((inode) => ({inode, deleteMarker: false, since: 7n})), encodeVersion, decodeVersion),
  'namespace-event': record([{
    name: 'ObjectCreated:Put' as const, bucket: name('b'), key: name('k'), configurationId: 'c', time: 5n, sequence: 6, principal: 'p', remote: '::1', requestId: 'r', owner: 'o', size: 7, etag: 'e', versionId: 'null',
  }], encodeEvent, (bytes) => {
    const event = decodeEvent(bytes);
    outcome(() => JSON.parse(eventMessage(event)) as unknown);
    return event;
  }),
  'namespace-renamed-tree': record([{
    inode: 5 as InodeId, from: name('/a/b/'), to: name('/c/'), fromTop: 6 as InodeId, toTop: 0 as const, principal: 'p', remote: '', requestId: 'r', after: name('k'),
  }], encodeRenamedTree, decodeRenamedTree),
  'namespace-webhook': record([{url: 'https://h/', token: 't', secret: 's', certificates: 'c'}], encodeWebhook, decodeWebhook),
  'namespace-webhook-state': record([{next: 300, dropped: 2}], encodeWebhookState, decodeWebhookState),
  'namespace-publication': record([{id: 5 as InodeId, mount: 1 as MountId, storeKey: name('a'), content: 6 as ContentId, length: 7}], encodePublication, (bytes) => decodePublication(5 as InodeId, bytes)),
  'namespace-tombstone': record(
    [{id: 5 as InodeId, mount: 1 as MountId, storePrefix: name('a/'), path: name('/a'), removedAt: 7, cursor: 9 as InodeId, deleted: 3}], encodeTombstone, (bytes) => decodeTombstone(5 as InodeId, bytes),
  ),
  'fuse-request': decoder(binary, Object.values(opcode).map(operation => fuseMessage(operation)), (input) => {
    // The kernel's length is right; what lies behind it may be anything.
    if (input.length >= 4) input.writeUInt32LE(input.length, 0);
    decodeRequest(input, {setxattrExtended: (input[4] ?? 0) % 2 === 0, numbered: node => node});
  }),
  'fuse-kept-slot': record<KeptSlot | undefined>([
    {kind: 'file', handle: 1, node: 2, flags: 3, unique: 4n, backing: 5}, {kind: 'directory', handle: 1, node: 2, unique: 4n}, {kind: 'draft', node: 1, inode: 2, dirty: true, touched: -1n},
    {kind: 'lock', node: 1, whole: true, owner: 2n, type: 'write', pid: 3, start: 4, end: 5}, undefined,
  ], slot => {
    const bytes = Buffer.alloc(slotBytes);
    encodeSlot(slot, bytes);
    return bytes;
  }, decodeSlot),
  'fuse-kept-header': decoder(binary, [encodeHeader({flags: [1, 2], minor: 0, slots: 3, nextHandle: 4, origin: 'mount-m', root: 5})], input => void decodeHeader(input)),
  'fuse-kept-position': decoder(binary, [encodePosition({handle: 1, cookie: 5n, from: name('a'), key: name('b')})!], input => void decodePosition(input)),
  'namespace-upload': record([{
    uploadId: 'u', path: name('/a'), mount: 1 as MountId, storeKey: name('a'), content: 4 as ContentId, storeUploadId: 's', metadata: {a: 'b'},
    checksumAlgorithm: 'crc32', checksumType: 'FULL_OBJECT', mode: 0o644, initiatedAt: 5n, initiator: 'i',
  }], encodeUpload, decodeUpload),
  'namespace-usage': record([{files: 1, directories: 300, bytes: 1e12}], encodeUsage, decodeUsage),
  'rest-query': decoder(query, ['/v1/files?path=%2Fa%20b&recursive&x=1+2', '/?a=%C3%A9&&=&a'], (input) => void parseRestQuery(text(input))),
  'rpc-frames': stream(binary, frameSeeds, decodeFrames),
  'rpc-error': decoder(binary, [encodeError(new WeirError('NotFound', 'no', {details: {a: 1}}))], (input) => void decodeError(input)),
  'rpc-value': decoder(binary, [encodeValue({a: [1, 2n ** 40n, 'text', Buffer.from('b'), null, true, 1.5]})], (input) => void decodeValue(input)),
  's3-chunked': stream(chunks, chunkSeeds, decodeChunked, {headerBytes: 2}),
  's3-headers': decoder(headers, [
    authorization, 'if-match: "e", W/"f"\nif-modified-since: Sat, 21 Nov 2026 10:38:05 GMT\nrange: bytes=5-9', 'if-none-match: *\nif-unmodified-since: 2026-11-21T10:38:05Z\nx-amz-copy-source-range: bytes=0-4',
    'x-amz-checksum-crc32: AAAAAA==\ncontent-md5: 1B2M2Y8AsgTpgAmY7PhCfg==\nx-amz-trailer: x-amz-checksum-sha256', 'x-amz-checksum-crc32: AAAAAA==\nx-amz-checksum-crc32c: AAAAAA==\nx-amz-sdk-checksum-algorithm: SHA1',
  ], s3Headers),
  's3-configurations': decoder(xml, configurationSeeds, configurations),
  's3-access': decoder(xml, accessSeeds, accessDocuments),
  's3-policy': decoder(json, policySeeds, policies),
  's3-target': decoder(query, [
    '/bucket/key/a%2Fb?prefix=a&delimiter=%2F&max-keys=5&list-type=2&continuation-token=MWE', '/b?marker=x&encoding-type=url', '/b/k?AWSAccessKeyId=K&Signature=s&Expires=1', presigned,
  ], s3Target),
  's3-text': decoder(xml, ['a&b<c>"d"'], (input) => {
    const escaped = escapeXml(input.toString());
    if (/[<>"\0-\x08]/.test(escaped) || /&(?!(amp|lt|gt|quot|#x[0-9a-f]{1,4});)/.test(escaped)) throw new Error('escaped text has markup in it');
    mustEqual(uriDecode(uriEncode(text(input), false)), text(input), 'text comes back changed');
  }),
  's3-xml': decoder(xml, [
    '<CompleteMultipartUpload xmlns="x"><Part><PartNumber>1</PartNumber><ETag>&quot;e&quot;</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part></CompleteMultipartUpload>',
    '<?xml version="1.0"?><Delete><Quiet>true</Quiet><Object><Key>a&amp;b</Key><VersionId>null</VersionId></Object><Object><Key><![CDATA[c]]></Key><Size>5</Size></Object></Delete>',
    '<CreateBucketConfiguration><LocationConstraint>r</LocationConstraint></CreateBucketConfiguration>',
    '<RestoreRequest><Days>3</Days></RestoreRequest>', '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>', '<LegalHold><Status>ON</Status></LegalHold>',
    '<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2030-01-01T00:00:00Z</RetainUntilDate></Retention>',
    objectLockXml({mode: 'COMPLIANCE', days: 3}),
    lifecycleXml([{id: 'd', enabled: true, form: 'and', filter: {prefix: 'p', tags: [['k', '']], sizeOver: 1, sizeUnder: 9}, noncurrent: {days: 2, keep: 5}, expiration: {dateMs: 0}}]),
  ], documents),
};

function indexOf(entries: number): Buffer {
  const index = new SegmentIndexWriter();
  for (let i = 1; i <= entries; i++) index.add(i as ContentId, i * 100, 50);
  return Buffer.from(index.finish());
}

function fuseMessage(operation: number): Buffer {
  const message = Buffer.alloc(40 + 100);
  message.writeUInt32LE(message.length, 0);
  message.writeUInt32LE(operation, 4);
  message.write('name\0other\0', 40 + 88, 'latin1');
  return message;
}

function entryHeader(): Buffer {
  const header = Buffer.alloc(entryHeaderBytes);
  writeEntryHeader(header, 0, {id: 5 as ContentId, length: 3, checksum: 9});
  return header;
}
