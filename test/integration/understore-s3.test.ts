/** The under-store suite on S3 servers that nobody here wrote, and what only a real one can show. */
import assert from 'node:assert/strict';
import {createHash} from 'node:crypto';
import {after, before, describe, test} from 'node:test';
import {fromText} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {MiB} from '#base/units.ts';
import {connector} from '#connectors/s3/connector.ts';
import {createHttp} from '#runtime/node/http/node-http.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import type {UnderStore} from '#understore/under-store.ts';
import {collect, describeUnderStore, pattern, write} from '../conformance/understore.ts';
import {connectorEnvironment} from '../servers/environment.ts';
import {type S3Server, startMinio, startVersitygw} from '../servers/s3-servers.ts';

const runtime = createNodeRuntime();
const call = {signal: new AbortController().signal};

/** What the servers cannot do themselves. */
const servers: {name: string; start: (forWhat: string) => Promise<S3Server | undefined>; cannotHold: (key: string) => boolean}[] = [
  // It lists keys as bare XML, which has no control characters.
  {name: 'versitygw', start: startVersitygw, cannotHold: key => /[\x00-\x1f]/.test(key)},
];
// MinIO takes minutes to build, so it is asked for by name.
if (process.env['WEIR_TEST_MINIO'] === '1') servers.push({name: 'MinIO', start: startMinio, cannotHold: key => /[\x00-\x1f\\]/.test(key)});

for (const {name, start, cannotHold} of servers) {
  const server = await start(`the S3 connector on ${name}`);
  if (!server) continue;
  const open = (uri: string, options: Record<string, string> = {}): Promise<UnderStore> =>
    connector.open(
      uri,
      {endpoint: server.endpoint, accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey, conditionalWrites: 'true', ...options},
      connectorEnvironment(runtime, createHttp()),
    );

  describe(name, () => {
    before(async () => {
      for (const bucket of ['conformance', 'whole-bucket', 'large']) await server.makeBucket(bucket);
    });
    after(() => server.stop());

    describeUnderStore(`s3 on ${name}, below a prefix`, async () => ({store: await open('s3://conformance/some/prefix/'), cannotHold, dispose: async () => {}}));
    describeUnderStore(`s3 on ${name}, a whole bucket`, async () => ({store: await open('s3://whole-bucket'), cannotHold, dispose: async () => {}}));

    test('objects of any length go in parts and come back whole', async () => {
      const store = await open('s3://large', {partSize: '5MiB'});
      for (const length of [5 * MiB, 5 * MiB + 1, 23 * MiB]) {
        const bytes = pattern(length);
        const made = await write(store, {key: fromText('parts/of unknown length'), metadata: {'content-type': 'text/x'}}, bytes);
        assert.equal(made.length, length);
        const read = await store.read(fromText('parts/of unknown length'), {ifFingerprint: made.fingerprint}, call);
        assert.equal(createHash('md5').update(await collect(read.body)).digest('hex'), createHash('md5').update(bytes).digest('hex'));
        assert.equal(read.object.metadata?.['content-type'], 'text/x');
      }
    });

    test('a write that is given up in the middle leaves nothing', async () => {
      const store = await open('s3://large', {partSize: '5MiB'});
      for (const length of [undefined, 10 * MiB]) {
        const writing = await store.write({key: fromText('given up'), metadata: {}, ...(length === undefined ? {} : {length})}, call);
        for (let i = 0; i < 12; i++) await writing.write(pattern(length === undefined ? MiB : 500_000));
        await writing.abort();
        assert.equal(await store.stat(fromText('given up'), call), undefined);
      }
    });

    test('wrong keys and absent buckets are said to be that', async () => {
      const wrong = await open('s3://large', {secretAccessKey: 'wrong'});
      await assert.rejects(wrong.read(fromText('x'), {}, call), error => isKind(error, 'Unauthenticated'));
      const writing = await wrong.write({key: fromText('x'), metadata: {}, length: 20 * MiB}, call);
      await assert.rejects(
        async () => {
          for (let i = 0; i < 20; i++) await writing.write(pattern(MiB));
          await writing.finish();
        },
        error => isKind(error, 'Unauthenticated', 'Unavailable', 'PermissionDenied'),
      );
      await writing.abort();
      const absent = await open('s3://no-such-bucket');
      await assert.rejects(absent.list({prefix: fromText(''), delimiter: true, limit: 10}, call), error => isKind(error, 'InvalidArgument') && /does not exist/.test(error.message));
    });

    test('a thousand keys are listed and removed by pages', async () => {
      const store = await open('s3://large/many');
      const names = Array.from({length: 1200}, (_, i) => fromText(`k${String(i).padStart(5, '0')}`));
      const queue = names.values();
      await Promise.all(
        Array.from({length: 16}, async () => {
          for (const name of queue) await write(store, {key: name, metadata: {}, length: 1}, pattern(1));
        }),
      );
      const first = await store.list({prefix: fromText(''), delimiter: true, limit: 10_000}, call);
      assert.equal(first.objects.length, 1000);
      const second = await store.list({prefix: fromText(''), delimiter: true, limit: 10_000, continuation: first.continuation!}, call);
      assert.deepEqual([...first.objects, ...second.objects].map(object => object.key), names);
      assert.deepEqual(await store.remove(names, call), []);
      assert.deepEqual((await store.list({prefix: fromText(''), delimiter: true, limit: 10}, call)).objects, []);
    });
  });
}
