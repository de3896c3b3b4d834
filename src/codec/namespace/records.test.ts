import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type {ByteString} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import type {ContentId, InodeId, MountId} from '#base/ids.ts';
import {decodeEntry, encodeEntry, type Entry} from '#codec/namespace/entry-record.ts';
import {
  decodeGroup, decodeAccessKey, decodePolicy, decodeRealm, decodeUser, encodeGroup, encodeAccessKey, encodePolicy, encodeRealm, encodeUser, type GroupRecord, type KeyRecord, type RealmRecord, type UserRecord,
} from '#codec/namespace/identity-record.ts';
import {decodeGarbage, encodeGarbage, type Garbage} from '#codec/namespace/garbage-record.ts';
import {decodeInode, encodeInode, peekInode, peekName} from '#codec/namespace/inode-record.ts';
import {
  decodeFileRename, decodeMove, decodePublication, decodeTombstone, encodeFileRename, encodeMove, encodePublication, encodeTombstone, type FileRename, type MoveIntent, type Publication, type Tombstone,
} from '#codec/namespace/intent-record.ts';
import {decodeMount, encodeMount} from '#codec/namespace/mount-record.ts';
import {decodeStoreUpload, encodeStoreUpload, type StoreUpload} from '#codec/namespace/store-upload-record.ts';
import {decodeOrphan, encodeOrphan, type Orphan} from '#codec/namespace/orphan-record.ts';
import {decodeResult, encodeResult} from '#codec/namespace/request-result.ts';
import {decodeTimer, encodeTimer, type Timer} from '#codec/namespace/timer-record.ts';
import {decodePart, decodeUpload, encodePart, encodeUpload} from '#codec/namespace/upload-record.ts';
import {decodeNextId, decodeUsage, encodeNextId, encodeUsage} from '#codec/namespace/usage-record.ts';
import {decodePersist, encodePersist, type Persist} from '#codec/namespace/persist-record.ts';
import {decodeRelocation, decodeVersion, encodeRelocation, encodeVersion, type Relocation, type VersionRecord} from '#codec/namespace/version-record.ts';
import type {PartRecord, UploadRecord} from '#contracts/writing.ts';
import {checksumAlgorithms, type Content} from '#model/content.ts';
import type {Inode} from '#model/inode.ts';
import {type Mount, writeTypes} from '#model/mount.ts';

const number = fc.oneof(fc.nat(300), fc.maxSafeNat());
const id = <Id extends number>(): fc.Arbitrary<Id> => fc.oneof(fc.integer({min: 1, max: 300}), fc.integer({min: 1, max: Number.MAX_SAFE_INTEGER})) as fc.Arbitrary<Id>;
const byteString = fc.uint8Array({maxLength: 40}).map((bytes) => Buffer.from(bytes).toString('latin1') as ByteString);
const time = fc.bigInt({min: -(2n ** 63n), max: 2n ** 63n - 1n});
const text = fc.string({unit: 'grapheme', maxLength: 12});
const texts = fc.dictionary(fc.oneof(text, fc.constant('__proto__')), text, {maxKeys: 4, noNullPrototype: true});
const mode = fc.integer({min: 0, max: 0o7777});
const checksums = fc.record(Object.fromEntries(checksumAlgorithms.map((name) => [name, text])), {requiredKeys: [], noNullPrototype: true});
const etag = fc.oneof(text, fc.uint8Array({minLength: 16, maxLength: 16}).map((bytes) => Buffer.from(bytes).toString('hex')));
const always = fc.constant(true as const);

const content: fc.Arbitrary<Content> = fc.record(
  {id: id<ContentId>(), length: number, mount: id<MountId>(), storeKey: byteString, fingerprint: etag, etag, checksums, metadata: texts, committedAt: time, listed: always,
    upload: fc.record({id: text, parts: number, checked: always}, {requiredKeys: ['id', 'parts'], noNullPrototype: true}), pending: fc.constantFrom('pending' as const, 'conflict' as const),
    over: fc.record({id: id<ContentId>(), length: number, fingerprint: etag, storeKey: byteString.filter((key) => key !== ''), own: fc.uint8Array()}, {
      requiredKeys: ['id', 'length', 'fingerprint', 'own'], noNullPrototype: true})},
  {requiredKeys: ['id', 'length', 'mount', 'storeKey', 'fingerprint', 'etag', 'checksums', 'metadata', 'committedAt'], noNullPrototype: true},
).map(({over, ...one}) => (one.pending && over ? {...one, over} : one));

const inode: fc.Arbitrary<Inode> = fc.record(
  {
    id: id<InodeId>(), kind: fc.constantFrom('file' as const, 'directory' as const, 'symlink' as const, 'special' as const), parent: id<InodeId>(), name: byteString, mode, uid: number, gid: number,
    atime: time, mtime: time, ctime: time, content, target: byteString, xattrs: fc.dictionary(fc.oneof(text, fc.constant('__proto__')), fc.uint8Array(), {maxKeys: 3, noNullPrototype: true}),
    implied: always, pinned: always, checkedAt: number, listedAt: id<number>(), storePrefix: byteString, mount: id<MountId>(), links: fc.integer({min: 2, max: 65_000}),
    settings: number, version: number, createdAt: time, ownProtection: always,
  },
  {requiredKeys: ['id', 'kind', 'parent', 'name', 'mode', 'uid', 'gid', 'atime', 'mtime', 'ctime', 'checkedAt'], noNullPrototype: true},
);

const entry: fc.Arbitrary<Entry> = fc.record(
  {id: id<InodeId>(), kind: fc.constantFrom('file' as const, 'directory' as const, 'symlink' as const, 'special' as const), mount: id<MountId>(), prefixed: always}, {requiredKeys: ['id', 'kind'], noNullPrototype: true},
);

const mount: fc.Arbitrary<Mount> = fc.record({
  id: id<MountId>(), path: byteString, uri: text, options: texts, readOnly: fc.boolean(),
  freshness: fc.oneof(fc.constant({kind: 'immutable' as const}), fc.constant({kind: 'always' as const}), fc.record({kind: fc.constant('maxAge' as const), ms: number}, {noNullPrototype: true})),
  writeType: fc.constantFrom(...writeTypes), createdAt: number,
}, {noNullPrototype: true});

const upload: fc.Arbitrary<UploadRecord> = fc.record(
  {
    uploadId: text, path: byteString, mount: id<MountId>(), storeKey: byteString, content: id<ContentId>(), storeUploadId: text, metadata: texts, checksumAlgorithm: fc.constantFrom(...checksumAlgorithms),
    checksumType: fc.constantFrom('FULL_OBJECT' as const, 'COMPOSITE' as const), mode, initiatedAt: time, initiator: text, xattrs: fc.dictionary(text, fc.uint8Array(), {minKeys: 1, maxKeys: 3, noNullPrototype: true}),
  },
  {requiredKeys: ['uploadId', 'path', 'mount', 'storeKey', 'content', 'storeUploadId', 'metadata', 'initiatedAt', 'initiator'], noNullPrototype: true},
);

const part: fc.Arbitrary<PartRecord> = fc.record({partNumber: number, length: number, etag, checksums, storePart: text, modifiedAt: time, salt: fc.uint8Array({minLength: 1})},
  {requiredKeys: ['partNumber', 'length', 'etag', 'checksums', 'storePart', 'modifiedAt'], noNullPrototype: true});
const timer: fc.Arbitrary<Timer> = fc.record(
  {dueMs: number, progress: fc.record({startedAt: number, after: byteString}, {requiredKeys: ['startedAt'], noNullPrototype: true})}, {requiredKeys: ['dueMs'], noNullPrototype: true},
);
const garbage: fc.Arbitrary<Garbage> = fc.record(
  {content: fc.constant(5 as ContentId), inode: id<InodeId>(), pinned: fc.boolean(), stored: fc.record({mount: id<MountId>(), storeKey: byteString}, {noNullPrototype: true}), upload: text},
  {requiredKeys: ['content', 'inode', 'pinned'], noNullPrototype: true},
);
const tombstone: fc.Arbitrary<Tombstone> = fc.record(
  {id: fc.constant(5 as InodeId), mount: id<MountId>(), storePrefix: byteString, path: byteString, removedAt: number, cursor: id<InodeId>(), deleted: number},
  {requiredKeys: ['id', 'mount', 'storePrefix', 'path', 'removedAt', 'deleted'], noNullPrototype: true},
);
const move: fc.Arbitrary<MoveIntent> = fc.record({id: fc.constant(5 as InodeId), mount: id<MountId>(), from: byteString, startedAt: number}, {noNullPrototype: true});
const fileRename: fc.Arbitrary<FileRename> = fc.record(
  {
    id: fc.constant(5 as InodeId), mount: id<MountId>(), from: byteString, to: byteString, fromPath: byteString, toPath: byteString, fingerprint: text, startedAt: number, copied: fc.boolean(),
    inStore: fc.constant(true as const),
    request: fc.record({client: text, counter: number, acknowledged: number}, {noNullPrototype: true}), kept: fc.record({storeKey: byteString, fingerprint: text}, {noNullPrototype: true}),
  },
  {requiredKeys: ['id', 'mount', 'from', 'to', 'fromPath', 'toPath', 'fingerprint', 'startedAt', 'copied'], noNullPrototype: true},
);
const publication: fc.Arbitrary<Publication> = fc.record({id: fc.constant(5 as InodeId), mount: id<MountId>(), storeKey: byteString, content: id<ContentId>(), length: number}, {noNullPrototype: true});
const storeUpload: fc.Arbitrary<StoreUpload> = fc.record({mount: id<MountId>(), storeKey: byteString, storeUploadId: text, openedAt: number}, {noNullPrototype: true});
const orphan: fc.Arbitrary<Orphan> = fc.record({id: fc.constant(5 as InodeId), mount: id<MountId>(), holders: fc.array(text, {maxLength: 3}), shared: fc.boolean()}, {noNullPrototype: true});
const usage = fc.record({files: number, directories: number, bytes: number}, {noNullPrototype: true});

const versionRecord: fc.Arbitrary<VersionRecord> = fc.record({inode, deleteMarker: fc.boolean(), since: time}, {noNullPrototype: true});
const relocation: fc.Arbitrary<Relocation> = fc.record({
  id: fc.constant(5), kind: fc.constantFrom('archive' as const, 'restore' as const), inode: id<InodeId>(), content: id<ContentId>(), mount: id<MountId>(),
  from: byteString, fingerprint: text, to: byteString, path: byteString,
}, {noNullPrototype: true});
const persist: fc.Arbitrary<Persist> = fc.record(
  {
    id: fc.constant(5 as InodeId), content: id<ContentId>(), mount: id<MountId>(), state: fc.constantFrom('pending' as const, 'conflict' as const),
    base: fc.oneof(fc.constantFrom('absent' as const, 'unknown' as const, 'any' as const), fc.record({fingerprint: text}, {noNullPrototype: true})),
    since: number, failures: number, lastError: text, attempts: fc.array(fc.record({content: id<ContentId>(), length: number, etag: text}, {noNullPrototype: true}), {maxLength: 4}), before: content,
  },
  {requiredKeys: ['id', 'content', 'mount', 'state', 'base', 'since', 'failures', 'attempts'], noNullPrototype: true},
);
const requestResult: fc.Arbitrary<unknown> = fc.oneof(
  fc.record({path: byteString, inode, length: number, mount: id<MountId>()}, {noNullPrototype: true}),
  fc.record({path: byteString, inode, length: number, mount: id<MountId>(), versioned: always}, {noNullPrototype: true}), fc.constantFrom(null, {}, {versionId: '7', since: 5n}),
);
const list = fc.array(text, {maxLength: 3});
const user: fc.Arbitrary<UserRecord> = fc.record(
  {account: fc.constantFrom('own' as const, 'instance' as const), accountId: text, ownerId: text, uid: number, active: fc.boolean(), groups: list, policies: list, inline: texts, createdAt: number},
  {noNullPrototype: true},
);
const key: fc.Arbitrary<KeyRecord> = fc.record(
  {user: text, secret: text, active: fc.boolean(), description: text, createdAt: number, expiresAt: fc.nat()}, {requiredKeys: ['user', 'secret', 'active', 'description', 'createdAt'], noNullPrototype: true},
);
const group: fc.Arbitrary<GroupRecord> = fc.record({policies: list, inline: texts}, {noNullPrototype: true});
const realm: fc.Arbitrary<RealmRecord> = fc.record({accountId: text, ownerId: text, seal: fc.uint8Array()}, {noNullPrototype: true});

const somewhere = 'some/where' as ByteString;

interface Codec {
  readonly name: string;
  readonly values: fc.Arbitrary<unknown>;
  encode(value: unknown): Uint8Array;
  decode(record: Uint8Array): unknown;
}

function codecOf<T>(name: string, values: fc.Arbitrary<T>, encode: (value: T) => Uint8Array, decode: (record: Uint8Array) => T): Codec {
  return {name, values, encode: (value) => encode(value as T), decode};
}

const codecs: readonly Codec[] = [
  codecOf('entry', entry, encodeEntry, decodeEntry),
  codecOf('garbage', garbage, encodeGarbage, (record) => decodeGarbage(5 as ContentId, record)),
  codecOf('user', user, encodeUser, decodeUser),
  codecOf('key', key, encodeAccessKey, decodeAccessKey),
  codecOf('group', group, encodeGroup, decodeGroup),
  codecOf('policy', fc.record({text}, {noNullPrototype: true}), encodePolicy, decodePolicy),
  codecOf('realm', realm, encodeRealm, decodeRealm),
  codecOf('mount', mount, encodeMount, decodeMount),
  codecOf('tombstone', tombstone, encodeTombstone, (record) => decodeTombstone(5 as InodeId, record)),
  codecOf('file rename', fileRename, encodeFileRename, (record) => decodeFileRename(5 as InodeId, record)),
  codecOf('publication', publication, encodePublication, (record) => decodePublication(5 as InodeId, record)),
  codecOf('move', move, encodeMove, (record) => decodeMove(5 as InodeId, record)),
  codecOf('upload', upload, encodeUpload, decodeUpload),
  codecOf('store upload', storeUpload, encodeStoreUpload, decodeStoreUpload),
  codecOf('orphan', orphan, encodeOrphan, (record) => decodeOrphan(5 as InodeId, record)),
  codecOf('part', part, encodePart, decodePart),
  codecOf('timer', timer, encodeTimer, decodeTimer),
  codecOf('version', versionRecord, encodeVersion, decodeVersion),
  codecOf('persist', persist, encodePersist, (record) => decodePersist(5 as InodeId, record)),
  codecOf('request result', requestResult, encodeResult, decodeResult),
  codecOf('relocation', relocation, encodeRelocation, (record) => decodeRelocation(5, record)),
  codecOf('usage', usage, encodeUsage, decodeUsage),
  codecOf('next id', number, encodeNextId, decodeNextId),
  codecOf('inode', inode.map((one) => ({...one, id: 5 as InodeId})), (one) => encodeInode(one, somewhere), (record) => decodeInode(5 as InodeId, record, somewhere)),
];

for (const codec of codecs) {
  const {name} = codec;
  test(`${name} records come back as they were written`, () => {
    fc.assert(fc.property(codec.values, (value) => assert.deepEqual(codec.decode(codec.encode(value)), value)), {numRuns: 300});
  });

  test(`${name} records that are cut, mutated or random are refused or read as something`, () => {
    const mutated = fc.tuple(codec.values, fc.array(fc.tuple(fc.nat(200), fc.nat(255)), {maxLength: 4}), fc.option(fc.nat(200))).map(([value, changes, cut]) => {
      const record = Uint8Array.from(codec.encode(value));
      for (const [at, byte] of changes) record[at % record.length] = byte;
      return cut === null ? record : record.subarray(0, cut);
    });
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({maxLength: 64})), (record) => {
        try {
          codec.decode(record);
        } catch (error) {
          assert.ok(isKind(error, 'Corrupt'), String(error));
        }
      }),
      {numRuns: 1000},
    );
  });

  test(`every cut of ${name} records is refused`, () => {
    fc.assert(fc.property(codec.values, (value) => {
      const record = codec.encode(value);
      for (let length = 0; length < record.length; length++) assert.throws(() => codec.decode(record.subarray(0, length)), (error) => isKind(error, 'Corrupt'));
    }), {numRuns: 20});
  });
}

test('a content that lies where its only name says does not store where', () => {
  fc.assert(fc.property(inode, content, (one, kept) => {
    const {storePrefix: _, links, ...plain} = one;
    const file = {...plain, content: {...kept, storeKey: 'old/name' as ByteString}};
    const moved = decodeInode(one.id, encodeInode(file, 'old/name' as ByteString), 'new/name' as ByteString);
    assert.equal(moved.content!.storeKey, 'new/name');
    const stays = decodeInode(one.id, encodeInode(file, 'other' as ByteString), 'new/name' as ByteString);
    assert.equal(stays.content!.storeKey, 'old/name');
    const several = decodeInode(one.id, encodeInode({...file, links: links ?? 2}, 'old/name' as ByteString), 'new/name' as ByteString);
    assert.equal(several.content!.storeKey, 'old/name');
  }));
});

test('the head of a record tells what the whole does', () => {
  fc.assert(fc.property(inode, (one) => {
    const has = {hasSettings: one.settings !== undefined, hasContent: one.content !== undefined, hasXattrs: one.xattrs !== undefined};
    assert.deepEqual(peekName(encodeInode(one, somewhere)), {kind: one.kind, parent: one.parent, name: one.name});
    assert.deepEqual(peekInode(encodeInode(one, somewhere)), {implied: one.implied === true, ...has, mtime: one.mtime});
  }));
});

test('bytes written by the first release are read for ever', () => {
  const file: Inode = {
    id: 5 as InodeId, kind: 'file', parent: 1 as InodeId, name: 'f' as ByteString, mode: 0o644, uid: 1000, gid: 100, atime: 3n, mtime: 3n, ctime: 4n, checkedAt: 9, pinned: true,
    content: {
      id: 6 as ContentId, length: 300, mount: 1 as MountId, storeKey: somewhere, fingerprint: '"x"', etag: 'd41d8cd98f00b204e9800998ecf8427e', checksums: {crc32: 'AAAAAA=='},
      metadata: {'content-type': 'a/b'}, committedAt: 4n,
    },
    xattrs: {'user.x': new Uint8Array([1])},
  };
  const version1 =
    '015403a40103000000000000000101' + '66e80764' + '040000000000000009' + '0506ac020110d41d8cd98f00b204e9800998ecf8427e032278220108414141414141' + '3d3d01' +
    '0c636f6e74656e742d747970' + '6503612f62' + '0106757365722e78' + '0101';
  assert.equal(Buffer.from(encodeInode(file, somewhere)).toString('hex'), version1);
  assert.deepEqual(decodeInode(5 as InodeId, Buffer.from(version1, 'hex'), somewhere), file);
});

test('what objects say of themselves is theirs, whichever was read before', () => {
  const long = 'x'.repeat(300);
  const all: Readonly<Record<string, string>>[] = [{}, {a: 'b'}, {a: 'b', c: 'd'}, {a: 'bc'}, {a: ''}, {b: 'b'}, {a: long}, {a: `${long}y`}, {a: 'b', c: long}];
  const records = all.map((metadata) => encodeInode(inodeWith(metadata), '' as ByteString));
  for (const first of records) {
    for (const [i, record] of records.entries()) {
      decodeInode(1 as InodeId, first, '' as ByteString);
      assert.deepEqual({...decodeInode(1 as InodeId, record, '' as ByteString).content!.metadata}, all[i]);
    }
  }
});

function inodeWith(metadata: Readonly<Record<string, string>>): Inode {
  const times = {atime: 1n, mtime: 1n, ctime: 1n, checkedAt: 0};
  const content: Content = {id: 1 as ContentId, length: 1, mount: 1 as MountId, storeKey: '' as ByteString, fingerprint: 'f', etag: 'e', checksums: {}, metadata, committedAt: 1n};
  return {id: 1 as InodeId, kind: 'file', parent: 1 as InodeId, name: 'n' as ByteString, mode: 0o644, uid: 0, gid: 0, ...times, content};
}
