import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import {asciiBytes} from '#base/byte-string.ts';
import type {ContentId, MountId} from '#base/ids.ts';
import {smallBytesMax} from '#client/file-system.ts';
import {type ClientServices, FileSystemClient} from '#client/file-system-client.ts';
import {FakeMaster, FakeWorker, textOf} from '#client/fixture.test.ts';
import {type CallContext, systemContext as context} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {WriteTicket, WrittenObject} from '#contracts/writing.ts';

const path = asciiBytes('/m/file');

function setUp() {
  const master = new FakeMaster();
  const worker = new FakeWorker();
  return {master, worker, client: new FileSystemClient({master: master.api, worker: worker.api})};
}

describe('open', () => {
  it('reads what is known, once, as asked', async () => {
    const {master, worker, client} = setUp();
    master.put(path, worker.put('file', 'hello world'));
    await using file = await client.open(path, {range: {suffix: 5}}, context);
    assert.equal(await textOf(await file.read(file.resolve({suffix: 5}), context)), 'world');
    assert.equal(await textOf(await file.read(file.resolve(undefined), context)), 'hello world');
    assert.deepEqual(worker.calls, ['read', 'read']);
    assert.equal(worker.openBodies, 0);
  });

  it('learns of unknown files and reads them in one go', async () => {
    const {master, worker, client} = setUp();
    master.unknown.add(path);
    worker.put('file', 'hello');
    await using file = await client.open(path, {range: {offset: 0}}, context);
    assert.equal(file.info.length, 5);
    assert.equal(await textOf(await file.read(file.resolve({offset: 0}), context)), 'hello');
    assert.deepEqual(worker.calls, ['probe', 'read probed']);
    master.unknown.add(asciiBytes('/m/none'));
    await assert.rejects(client.open(asciiBytes('/m/none'), {}, context), {kind: 'NotFound'});
  });

  it('takes the new version where the old one is gone before anything was delivered, and only then', async () => {
    const {master, worker, client} = setUp();
    master.put(path, worker.put('file', 'old'));
    master.fresh = worker.put('file', 'newer');
    await using file = await client.open(path, {range: {offset: 0}}, context);
    assert.equal(file.info.length, 5);
    assert.equal(await textOf(await file.read(file.resolve(undefined), context)), 'newer');
    master.fresh = worker.put('file', 'newest');
    await assert.rejects(file.read({offset: 0, length: 5}, context), {kind: 'ContentChanged'});
    assert.deepEqual(master.calls, ['contentChanged', 'contentChanged']);
    worker.store.clear();
    master.fresh = undefined;
    await assert.rejects(client.open(path, {range: {offset: 0}}, context), {kind: 'NotFound'});
  });

  it('gives back what was not read', async () => {
    const {master, worker, client} = setUp();
    master.put(path, worker.put('file', 'hello'));
    {
      await using file = await client.open(path, {range: {offset: 0}}, context);
      assert.equal(file.info.length, 5);
      assert.equal(worker.openBodies, 1);
    }
    assert.equal(worker.openBodies, 0);
  });

  it('lets ranges outside of the file fail when they are resolved', async () => {
    const {master, worker, client} = setUp();
    master.put(path, worker.put('file', 'hello'));
    await using file = await client.open(path, {range: {offset: 5}}, context);
    assert.throws(() => file.resolve({offset: 5}), {kind: 'RangeNotSatisfiable', details: {length: 5}});
    assert.throws(() => file.resolve({suffix: 0}), {kind: 'RangeNotSatisfiable'});
    assert.deepEqual(file.resolve({offset: 3, length: 100}), {offset: 3, length: 2});
    assert.deepEqual(file.resolve({suffix: 100}), {offset: 0, length: 5});
  });
});

describe('create', () => {
  it('publishes in order, and what was written is read', async () => {
    const {master, worker, client} = setUp();
    const writer = await client.create(path, {metadata: {'content-type': 'text/plain'}}, context);
    await writer.write(Buffer.from('hello'));
    const info = await writer.commit();
    assert.equal(info.inode.content?.metadata['content-type'], 'text/plain');
    assert.deepEqual(master.calls, ['prepareCommit', 'commitWrite']);
    assert.equal(master.openTickets.size, 0);
    await using file = await client.open(path, {range: {offset: 0}}, context);
    assert.equal(await textOf(await file.read(file.resolve(undefined), context)), 'hello');
    assert.equal(worker.openBodies, 0);
  });

  it('gives the ticket back when the bytes are wrong, and asks anew when the store may be ahead', async () => {
    const {master, worker, client} = setUp();
    worker.failWrite = true;
    await assert.rejects((await client.create(path, {}, context)).commit(), {kind: 'BadDigest'});
    assert.deepEqual(master.calls, []);
    worker.failWrite = false;
    master.failCommit = true;
    await assert.rejects((await client.create(path, {}, context)).commit(), {kind: 'Unavailable'});
    assert.deepEqual(master.calls, ['prepareCommit', 'commitWrite', 'refresh']);
    const writer = await client.create(path, {}, context);
    await writer.abort();
    await writer.abort();
    assert.deepEqual(worker.calls, ['abort']);
    assert.equal(master.openTickets.size, 0);
  });
});

describe('copy', () => {
  it('keeps name and checksums of the bytes, and goes on with a new version of the source', async () => {
    const {master, worker, client} = setUp();
    const to = asciiBytes('/m/copy');
    const source = master.put(path, {...worker.put('file', 'old'), checksums: {crc32: 'AAAAAA=='}});
    const copy = await client.copy(path, to, {metadata: {a: 'b'}}, context);
    assert.equal(copy.inode.content?.etag, source.inode.content?.etag);
    assert.deepEqual(copy.inode.content?.checksums, {crc32: 'AAAAAA=='});
    assert.deepEqual(copy.inode.content?.metadata, {a: 'b'});
    master.fresh = worker.put('file', 'newer');
    assert.equal((await client.copy(path, to, {}, context)).length, 5);
    await assert.rejects(client.copy(path, to, {sourcePrecondition: {ifMatch: 'else'}}, context), {kind: 'PreconditionFailed'});
    assert.equal(master.openTickets.size, 0);
  });
});

describe('uploads', () => {
  it('are completed of the parts that are named, in order', async () => {
    const {master, client} = setUp();
    const {uploadId} = await client.createUpload(path, {}, context);
    for (const partNumber of [1, 2, 3]) {
      const part = await client.uploadPart(path, uploadId, partNumber, {length: 10}, context);
      await part.write(Buffer.alloc(10));
      await part.commit();
    }
    const part = (partNumber: number) => ({partNumber, etag: String(partNumber).repeat(32)});
    await assert.rejects(client.completeUpload(path, uploadId, [part(4)], {}, context), {kind: 'InvalidArgument', details: {partNumber: 4}});
    await assert.rejects(client.completeUpload(path, uploadId, [part(3), part(1)], {}, context), {kind: 'InvalidArgument', details: {partNumber: 1}});
    await assert.rejects(client.completeUpload(path, uploadId, [{partNumber: 1, etag: 'x'}], {}, context), {kind: 'InvalidArgument'});
    await assert.rejects(client.completeUpload(path, uploadId, [], {}, context), {kind: 'InvalidArgument'});
    await assert.rejects(client.completeUpload(path, uploadId, [part(1)], {length: 11}, context), {kind: 'InvalidArgument'});
    const info = await client.completeUpload(path, uploadId, [part(1), part(3)], {length: 20}, context);
    assert.equal(info.length, '2 parts'.length);
    assert.equal(master.openTickets.size, 0);
  });

  it('are forgotten when aborted', async () => {
    const {master, worker, client} = setUp();
    const {uploadId} = await client.createUpload(path, {}, context);
    await client.abortUpload(path, uploadId, context);
    assert.equal(master.uploads.size, 0);
    assert.deepEqual(worker.calls, ['abortUpload']);
    await assert.rejects(client.abortUpload(path, uploadId, context), {kind: 'NotFound'});
  });
});

it('load, free and pin go over a tree, page by page', async () => {
  const {master, worker, client} = setUp();
  const root = asciiBytes('/m/');
  const info = master.put(root, worker.put('', ''));
  const {content: _, ...inode} = info.inode;
  master.files.set(root, {...info, inode: {...inode, kind: 'directory'}});
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) master.put(asciiBytes(`/m/${name}`), worker.put(name, name));
  const loaded = new Map<string, number>();
  for await (const {path: file, loadedBytes} of client.load(root, {}, context)) loaded.set(file, loadedBytes);
  assert.equal(loaded.size, 7);
  assert.ok([...loaded.values()].every(bytes => bytes === 1));
  assert.deepEqual(await client.free(root, {}, context), {files: 7});
  await client.pin(root, true, context);
  assert.deepEqual(worker.calls, ['free 7', ...Array.from({length: 7}, () => 'pin true')]);
});

describe('a small object', () => {
  const small = {kind: 'file', length: 5, checksums: ['sha256']} as const;

  function onTheSpot(kept: boolean, commits: boolean, carried = 0) {
    const {master, worker} = setUp();
    const calls: string[] = [];
    const here = {
      master: {
        beginWriteNow: (): WriteTicket => ({writeId: 7, path, content: 8 as ContentId, mount: 1 as MountId, storeKey: asciiBytes('file'), metadata: {}, writeType: 'ASYNC_THROUGH'}),
        mayCarry: (length: number) => length <= carried,
        commitWriteNow: (ticket: WriteTicket, object: WrittenObject, _context: CallContext, safe?: Uint8Array): Promise<FileInfo> | undefined => {
          calls.push(`commit ${object.length} ${object.etag}${safe ? ` ${Buffer.from(safe).toString()}` : ''}`);
          return commits ? Promise.resolve(master.put(ticket.path, {length: object.length, fingerprint: '', etag: object.etag, checksums: object.checksums, id: ticket.content})) : undefined;
        },
      },
      worker: {
        storeSmall: () => Promise.reject(new Error('nothing goes to its store here')),
        keepSmall: async (_content: ContentId, bytes: Uint8Array, {durable}: {readonly durable: boolean}): Promise<boolean> => {
          calls.push(`keep ${Buffer.from(bytes).toString()}${durable ? '' : ', safe'}`);
          return kept;
        },
      },
    };
    const client = new FileSystemClient({master: master.api, worker: worker.api, here: here as unknown as NonNullable<ClientServices['here']>});
    return {master, worker, client, calls};
  }

  it('is kept and committed at once', async () => {
    const {client, calls, master} = onTheSpot(true, true);
    assert.equal(client.createNow(path, {kind: 'file'}, context), undefined, 'nobody knows how much it will be');
    assert.equal(client.createNow(path, {kind: 'file', length: smallBytesMax + 1}, context), undefined);
    const writer = client.createNow(path, small, context)!;
    await writer.write(Buffer.from('hel'));
    await writer.write(Buffer.from('lo'));
    const info = await writer.commit({length: 5});
    assert.equal(info.inode.content?.checksums.sha256, 'LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=');
    assert.deepEqual(calls, ['keep hello', 'commit 5 5d41402abc4b2a76b9719d911017c592']);
    assert.deepEqual(master.calls, []);
  });

  it('is kept safely where the log carries its bytes, and durably after all where its turn has to be waited for', async () => {
    for (const commits of [true, false]) {
      const {client, calls, master} = onTheSpot(true, commits, 5);
      const writer = client.createNow(path, small, context)!;
      await writer.write(Buffer.from('hello'));
      assert.equal((await writer.commit({length: 5})).length, 5);
      const steps = ['keep hello, safe', 'commit 5 5d41402abc4b2a76b9719d911017c592 hello'];
      assert.deepEqual(calls, commits ? steps : [...steps, 'keep hello']);
      assert.deepEqual(master.calls, commits ? [] : ['prepareCommit', 'commitWrite']);
    }
  });

  it('leaves nothing when it is not what was announced', async () => {
    const {client, calls} = onTheSpot(true, true);
    const writer = client.createNow(path, small, context)!;
    await writer.write(Buffer.from('hell'));
    await assert.rejects(writer.commit({length: 5}), {kind: 'IncompleteBody'});
    await assert.rejects(client.createNow(path, small, context)!.write(Buffer.from('hello!')), {kind: 'IncompleteBody'});
    const other = client.createNow(path, small, context)!;
    await other.write(Buffer.from('hello'));
    await assert.rejects(other.commit({length: 5, checksums: {sha256: 'other'}}), {kind: 'BadDigest'});
    assert.deepEqual(calls, []);
  });

  it('goes on by the ordinary steps where its turn has to be waited for, or the cache is full', async () => {
    const waiting = onTheSpot(true, false);
    const writer = waiting.client.createNow(path, small, context)!;
    await writer.write(Buffer.from('hello'));
    assert.equal((await writer.commit({length: 5})).length, 5);
    assert.deepEqual(waiting.master.calls, ['prepareCommit', 'commitWrite']);
    const full = onTheSpot(false, true);
    const through = full.client.createNow(path, small, context)!;
    await through.write(Buffer.from('hello'));
    assert.equal((await through.commit({length: 5})).length, 5);
    assert.deepEqual(full.calls, ['keep hello']);
    assert.equal(full.worker.store.get(asciiBytes('file'))?.bytes.toString(), 'hello');
  });
});
