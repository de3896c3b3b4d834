/**
 * Unchanged programs against `weir up s3://bucket` on a real S3 server behind a link: what they write lies in the bucket under its own
 * name, what they read is right, and the second time nothing goes upstream.
 */
import assert from 'node:assert/strict';
import {execFile} from 'node:child_process';
import {createHash, randomBytes} from 'node:crypto';
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {after, describe, test} from 'node:test';
import {promisify} from 'node:util';
import {
  AbortMultipartUploadCommand, CompleteMultipartUploadCommand, CopyObjectCommand, CreateMultipartUploadCommand, DeleteObjectsCommand, GetObjectCommand, HeadObjectCommand, paginateListObjectsV2,
  PutObjectCommand, S3Client as AwsS3Client, UploadPartCommand,
} from '@aws-sdk/client-s3';
import {findProgram, need} from '../servers/tools.ts';
import {pythonClients} from '../servers/python-clients.ts';
import {eventually, startStack} from './harness.ts';

const run = promisify(execFile);

/** Names that break clients and servers which decode, normalise or escape once too often. All of them versitygw can hold. */
const uglyNames = [
  'plain.txt', 'with space/and  two', 'ümläut/日本語.bin', 'percent%41%2Fnot-a-slash', 'quotes\'"&<>.xml', 'plus+eq=amp&semi;.txt', 'hash#question?.txt',
  'back\\slash', 'dots../..dots/...', '.hidden/.file', 'tilde~star*[x]{y}|z^`', 'duck-🦆/🦆', 'colon:at@comma,', `long/${'n'.repeat(200)}`, 'deep/a/b/c/d/e/f/g/h/i/j/k/l/m/n',
];

const minutesFresh = ['maxAge=10m'];
const stack = await startStack('clients through weir up', {mountOptions: minutesFresh, rttMs: 4, bytesPerSecond: 200e6});
const python = stack && (await pythonClients('boto3, awscli, DuckDB and pyarrow through weir up'));
const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');

if (stack) {
  const {weir, direct, link, bucket} = stack;
  const environment = {...weir.awsEnvironment, BUCKET: bucket};
  const scratch = await mkdtemp(path.join(tmpdir(), 'weir-clients-'));
  /** The bucket has been listed, so within maxAge nobody asks whether there is more in it. */
  const forgetBeliefs = (): Promise<unknown> => weir.rest('POST', 'refresh', {path: `/${bucket}/`});
  const requestsDuring = async (fn: () => Promise<unknown>): Promise<number> => {
    const before = link.counters.requests;
    await fn();
    return link.counters.requests - before;
  };

  describe('clients through weir up', () => {
    after(async () => {
      await rm(scratch, {recursive: true, force: true});
      direct.close();
      await stack[Symbol.asyncDispose]();
    });

    test('ugly names: written through Weir they lie in the bucket, written in the bucket they are read through Weir', async () => {
      for (const name of uglyNames) {
        await weir.s3.put(bucket, `through/${name}`, `through ${name}`);
        assert.equal((await direct.get(bucket, `through/${name}`))?.toString(), `through ${name}`, name);
        await direct.put(bucket, `beneath/${name}`, `beneath ${name}`);
        assert.equal((await weir.s3.get(bucket, `beneath/${name}`))?.toString(), `beneath ${name}`, name);
      }
      const expected = uglyNames.flatMap(name => [`beneath/${name}`, `through/${name}`]).toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      assert.deepEqual(await weir.s3.keys(bucket), expected);
      assert.deepEqual((await direct.keys(bucket)).toSorted(), expected.toSorted());
    });

    test('boto3: put, get, list, multipart, copy, delete', {skip: !python}, async () => {
      const names = uglyNames.map(name => `boto3/${name}`);
      const program = `
import boto3, hashlib, io, json, os
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError
s3 = boto3.client('s3', config=Config(s3={'addressing_style': 'path'}, signature_version='s3v4'))
bucket, names = os.environ['BUCKET'], json.loads(os.environ['NAMES'])
for n in names:
    r = s3.put_object(Bucket=bucket, Key=n, Body=n.encode(), ContentType='text/weir', Metadata={'made-by': 'boto3'})
    assert r['ETag'] == '"%s"' % hashlib.md5(n.encode()).hexdigest(), r
    g = s3.get_object(Bucket=bucket, Key=n)
    assert g['Body'].read() == n.encode() and g['ContentType'] == 'text/weir' and g['Metadata'] == {'made-by': 'boto3'}, g
    assert s3.get_object(Bucket=bucket, Key=n, Range='bytes=2-4')['Body'].read() == n.encode()[2:5]
listed = [o['Key'] for p in s3.get_paginator('list_objects_v2').paginate(Bucket=bucket, Prefix='boto3/', PaginationConfig={'PageSize': 4}) for o in p.get('Contents', [])]
assert listed == sorted(names, key=lambda n: n.encode()), listed
folded = s3.list_objects_v2(Bucket=bucket, Prefix='boto3/', Delimiter='/')
assert {p['Prefix'] for p in folded['CommonPrefixes']} == {'boto3/' + n[6:].split('/')[0] + '/' for n in names if '/' in n[6:]}
assert [o['Key'] for o in s3.list_objects(Bucket=bucket, Prefix='boto3/', Delimiter='/')['Contents']] == sorted((n for n in names if '/' not in n[6:]), key=lambda n: n.encode())
big = os.urandom(13 << 20)
s3.upload_fileobj(io.BytesIO(big), bucket, 'boto3-big/multi part', Config=TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20), ExtraArgs={'Metadata': {'parts': 'yes'}})
h = s3.head_object(Bucket=bucket, Key='boto3-big/multi part')
assert h['ContentLength'] == len(big) and h['ETag'].endswith('-3"') and h['Metadata'] == {'parts': 'yes'}, h
out = io.BytesIO(); s3.download_fileobj(bucket, 'boto3-big/multi part', out); assert out.getvalue() == big
s3.copy_object(Bucket=bucket, Key='boto3-big/cöpy of it', CopySource={'Bucket': bucket, 'Key': 'boto3-big/multi part'})
assert s3.get_object(Bucket=bucket, Key='boto3-big/cöpy of it')['Body'].read() == big
try: s3.get_object(Bucket=bucket, Key='boto3/no such'); assert False
except ClientError as e: assert e.response['Error']['Code'] == 'NoSuchKey', e.response
r = s3.delete_objects(Bucket=bucket, Delete={'Objects': [{'Key': n} for n in names[1:]]})
assert len(r['Deleted']) == len(names) - 1 and 'Errors' not in r, r
s3.delete_object(Bucket=bucket, Key=names[0])
assert s3.list_objects_v2(Bucket=bucket, Prefix='boto3/')['KeyCount'] == 0
print(json.dumps({'md5': hashlib.md5(big).hexdigest(), 'url': s3.generate_presigned_url('get_object', Params={'Bucket': bucket, 'Key': 'boto3-big/cöpy of it'}),
  'put': s3.generate_presigned_url('put_object', Params={'Bucket': bucket, 'Key': 'presigned/ü'})}))
`;
      const {md5: expected, url, put} = JSON.parse(await python!.run(program, {...environment, NAMES: JSON.stringify(names)})) as {md5: string; url: string; put: string};
      assert.equal(md5((await direct.get(bucket, 'boto3-big/multi part'))!), expected);
      assert.equal(md5((await direct.get(bucket, 'boto3-big/cöpy of it'))!), expected);
      assert.deepEqual(await direct.keys(bucket, 'boto3/'), []);
      const answer = await fetch(url);
      assert.equal(md5(Buffer.from(await answer.arrayBuffer())), expected, 'a presigned URL read with fetch');
      assert.equal((await fetch(put, {method: 'PUT', body: 'by fetch'})).status, 200);
      assert.equal((await direct.get(bucket, 'presigned/ü'))?.toString(), 'by fetch');
      assert.equal((await fetch(url.replace('boto3-big', 'boto3-pig'))).status, 403);
    });

    test('the AWS command line: cp, sync, ls, mv, rm', {skip: !python}, async () => {
      const aws = async (...args: string[]): Promise<string> =>
        (await run(python!.aws, args, {env: {...process.env, ...environment, AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null', NO_PROXY: '*'}, maxBuffer: 16 << 20})).stdout;
      const bytes = randomBytes(9 << 20);
      await writeFile(path.join(scratch, 'big file.bin'), bytes);
      await aws('s3', 'cp', '--no-progress', path.join(scratch, 'big file.bin'), `s3://${bucket}/cli/big ü file.bin`);
      assert.equal(md5((await direct.get(bucket, 'cli/big ü file.bin'))!), md5(bytes));
      await aws('s3', 'mv', '--no-progress', `s3://${bucket}/cli/big ü file.bin`, `s3://${bucket}/cli/moved/file`);
      assert.deepEqual(await direct.keys(bucket, 'cli/'), ['cli/moved/file']);
      await aws('s3', 'sync', '--no-progress', `s3://${bucket}/through/`, path.join(scratch, 'synced'));
      assert.equal(await readFile(path.join(scratch, 'synced/ümläut/日本語.bin'), 'utf8'), 'through ümläut/日本語.bin');
      assert.match(await aws('s3', 'ls', `s3://${bucket}/cli/`), /PRE moved\//);
      await aws('s3', 'cp', '--no-progress', `s3://${bucket}/cli/moved/file`, path.join(scratch, 'back'));
      assert.equal(md5(await readFile(path.join(scratch, 'back'))), md5(bytes));
      await aws('s3', 'rm', '--recursive', `s3://${bucket}/cli/`);
      assert.deepEqual(await direct.keys(bucket, 'cli/'), []);
    });

    test('DuckDB reads Parquet cold and hot, and writes with COPY', {skip: !python}, async () => {
      const {host} = new URL(weir.ready.s3);
      const setUp = `
import duckdb, json, os
db = duckdb.connect(config={'allow_unsigned_extensions': True})
db.execute("LOAD '${python!.httpfsExtension}'")
db.execute("CREATE SECRET (TYPE s3, KEY_ID '%s', SECRET '%s', ENDPOINT '${host}', URL_STYLE 'path', USE_SSL false, REGION 'us-east-1')" % (os.environ['AWS_ACCESS_KEY_ID'], os.environ['AWS_SECRET_ACCESS_KEY']))
bucket = os.environ['BUCKET']
`;
      await python!.run(
        `${setUp}
db.execute(f"COPY (SELECT i AS id, i % 97 AS grp, 'row ' || i AS name, random() AS r FROM range(400000) t(i)) TO 's3://{bucket}/duck/table.parquet' (FORMAT parquet, ROW_GROUP_SIZE 50000)")
db.execute(f"COPY (SELECT i AS id, i % 3 AS part FROM range(1000) t(i)) TO 's3://{bucket}/duck/parts' (FORMAT parquet, PARTITION_BY (part))")`,
        environment,
      );
      const written = await direct.keys(bucket, 'duck/');
      assert.ok(written.includes('duck/table.parquet') && written.some(key => key.startsWith('duck/parts/part=2/')), String(written));
      assert.equal(md5((await direct.get(bucket, 'duck/table.parquet'))!), md5((await weir.s3.get(bucket, 'duck/table.parquet'))!));
      // Cold: an object that Weir has never seen, put there directly.
      await direct.put(bucket, 'duck-cold/table.parquet', (await direct.get(bucket, 'duck/table.parquet'))!);
      await forgetBeliefs();
      const query = `${setUp}
print(json.dumps(db.execute(f"SELECT count(*), sum(id), count(DISTINCT grp), max(name) FROM 's3://{bucket}/duck-cold/table.parquet'").fetchall()))
print(json.dumps(db.execute(f"SELECT sum(id) FROM 's3://{bucket}/duck-cold/*.parquet' WHERE grp = 5").fetchall()))
print(json.dumps(db.execute(f"SELECT count(*) FROM read_parquet('s3://{bucket}/duck/parts/*/*.parquet', hive_partitioning = true) WHERE part = 1").fetchall()))`;
      const cold = await python!.run(query, environment);
      const sumOfGroup = Array.from({length: 400_000}, (_, i) => i).filter(i => i % 97 === 5).reduce((a, b) => a + b);
      assert.deepEqual(cold.trim().split('\n').map(line => JSON.parse(line) as unknown), [[[400_000, 79_999_800_000, 97, 'row 99999']], [[sumOfGroup]], [[333]]]);
      let hot = '';
      assert.equal(await requestsDuring(async () => void (hot = await python!.run(query, environment))), 0, 'requests upstream of the second run');
      assert.equal(hot, cold);
    });

    test('pyarrow writes and reads a dataset', {skip: !python}, async () => {
      const program = `
import os, pyarrow as pa, pyarrow.dataset as ds
from pyarrow.fs import S3FileSystem
fs = S3FileSystem(access_key=os.environ['AWS_ACCESS_KEY_ID'], secret_key=os.environ['AWS_SECRET_ACCESS_KEY'], endpoint_override='${weir.ready.s3}', region='us-east-1')
table = pa.table({'id': pa.array(range(100000)), 'part': pa.array([i % 4 for i in range(100000)]), 'text': pa.array(['t%d' % i for i in range(100000)])})
ds.write_dataset(table, os.environ['BUCKET'] + '/arrow/set', filesystem=fs, format='parquet', partitioning=['part'], existing_data_behavior='overwrite_or_ignore')
read = ds.dataset(os.environ['BUCKET'] + '/arrow/set', filesystem=fs, format='parquet', partitioning=['part'])
assert read.to_table(filter=ds.field('part') == 2, columns=['id'])['id'].to_pylist() == list(range(2, 100000, 4))
assert read.count_rows() == 100000
fs.delete_dir(os.environ['BUCKET'] + '/arrow/set/3')
print(ds.dataset(os.environ['BUCKET'] + '/arrow/set', filesystem=fs, format='parquet', partitioning=['part']).count_rows())
`;
      assert.equal((await python!.run(program, environment)).trim(), '75000');
      assert.deepEqual((await direct.keys(bucket, 'arrow/set/')).filter(key => key.endsWith('.parquet')), [0, 1, 2].map(part => `arrow/set/${part}/part-0.parquet`));
    });

    test('the AWS SDK for JavaScript: streams, multipart, copy, lists, deletes', async () => {
      const {s3, accessKeyId, secretAccessKey} = weir.ready;
      const sdk = new AwsS3Client({endpoint: s3, region: 'us-east-1', forcePathStyle: true, credentials: {accessKeyId, secretAccessKey}});
      const Bucket = bucket;
      for (const name of uglyNames) {
        await sdk.send(new PutObjectCommand({Bucket, Key: `js/${name}`, Body: name, ChecksumAlgorithm: 'CRC32C'}));
        const {Body, ETag} = await sdk.send(new GetObjectCommand({Bucket, Key: `js/${name}`}));
        assert.equal(await Body!.transformToString(), name);
        assert.equal(ETag, `"${md5(Buffer.from(name))}"`);
      }
      const keys: string[] = [];
      for await (const page of paginateListObjectsV2({client: sdk, pageSize: 3}, {Bucket, Prefix: 'js/'})) keys.push(...page.Contents!.map(({Key}) => Key!));
      assert.deepEqual(keys.toSorted(), uglyNames.map(name => `js/${name}`).toSorted());
      const bytes = randomBytes(12 << 20);
      const Key = 'js-big/in parts';
      const {UploadId} = await sdk.send(new CreateMultipartUploadCommand({Bucket, Key, ContentType: 'application/weir'}));
      const Parts = await Promise.all(
        [3, 1, 2].map(async PartNumber => {
          const Body = bytes.subarray((PartNumber - 1) * (5 << 20), PartNumber * (5 << 20));
          const {ETag} = await sdk.send(new UploadPartCommand({Bucket, Key, UploadId, PartNumber, Body}));
          return {PartNumber, ETag};
        }),
      );
      assert.equal(await direct.get(bucket, Key), undefined, 'nothing is seen before the upload is complete');
      await sdk.send(new CompleteMultipartUploadCommand({Bucket, Key, UploadId, MultipartUpload: {Parts: Parts.toSorted((a, b) => a.PartNumber - b.PartNumber)}}));
      assert.equal(md5((await direct.get(bucket, Key))!), md5(bytes));
      const received: Uint8Array[] = [];
      for await (const chunk of (await sdk.send(new GetObjectCommand({Bucket, Key}))).Body as AsyncIterable<Uint8Array>) received.push(chunk);
      assert.equal(md5(Buffer.concat(received)), md5(bytes), 'read as a stream');
      await sdk.send(new CopyObjectCommand({Bucket, Key: 'js-big/copy', CopySource: `${Bucket}/${encodeURIComponent(Key)}`}));
      assert.equal((await sdk.send(new HeadObjectCommand({Bucket, Key: 'js-big/copy'}))).ContentType, 'application/weir');
      assert.equal(md5((await direct.get(bucket, 'js-big/copy'))!), md5(bytes));
      const given = await sdk.send(new CreateMultipartUploadCommand({Bucket, Key: 'js-big/given up'}));
      await sdk.send(new UploadPartCommand({Bucket, Key: 'js-big/given up', UploadId: given.UploadId, PartNumber: 1, Body: 'x'}));
      await sdk.send(new AbortMultipartUploadCommand({Bucket, Key: 'js-big/given up', UploadId: given.UploadId}));
      await sdk.send(new DeleteObjectsCommand({Bucket, Delete: {Objects: keys.map(key => ({Key: key})), Quiet: true}}));
      assert.deepEqual(await direct.keys(bucket, 'js'), ['js-big/copy', 'js-big/in parts']);
      sdk.destroy();
    });

    test('curl signs by itself: put, range, delete', async () => {
      const curl = await need('curl', 'curl --aws-sigv4 through weir up', async () => (await findProgram('curl')) ?? Promise.reject(new Error('it is not in PATH')));
      if (curl === undefined) return;
      const {s3, accessKeyId, secretAccessKey} = weir.ready;
      const call = async (...args: string[]): Promise<string> =>
        (await run(curl, ['-sS', '--noproxy', '*', '--aws-sigv4', 'aws:amz:us-east-1:s3', '-u', `${accessKeyId}:${secretAccessKey}`, '-w', ' %{http_code}', ...args])).stdout;
      const empty = createHash('sha256').update('').digest('hex');
      assert.equal(await call('-X', 'PUT', '--data-binary', 'from curl', '-H', `x-amz-content-sha256: ${createHash('sha256').update('from curl').digest('hex')}`, `${s3}/${bucket}/curl/file`), ' 200');
      assert.equal((await direct.get(bucket, 'curl/file'))?.toString(), 'from curl');
      assert.equal(await call('-H', `x-amz-content-sha256: ${empty}`, '-r', '5-8', `${s3}/${bucket}/curl/file`), 'curl 206');
      assert.equal(await call('-X', 'DELETE', '-H', `x-amz-content-sha256: ${empty}`, `${s3}/${bucket}/curl/file`), ' 204');
      assert.equal(await direct.get(bucket, 'curl/file'), undefined);
    });

    test('the second read and list of everything costs no request upstream', async () => {
      const readAll = async (): Promise<string[]> => {
        const sums: string[] = [];
        for (const key of await weir.s3.keys(bucket)) sums.push(`${key} ${md5((await weir.s3.get(bucket, key))!)}`);
        return sums;
      };
      const first = await readAll();
      assert.ok(first.length >= 2 * uglyNames.length);
      let second: string[] = [];
      assert.equal(await requestsDuring(async () => void (second = await readAll())), 0);
      assert.deepEqual(second, first);
      await weir.restart();
      let warm: string[] = [];
      const {bytesDown} = link.counters;
      warm = await readAll();
      assert.deepEqual(warm, first);
      // Beliefs may be asked for anew after a crash; bytes never.
      assert.ok(link.counters.bytesDown - bytesDown < 1 << 20, `${link.counters.bytesDown - bytesDown} bytes came down after kill -9`);
    });

    test('what changes directly in the bucket is seen: at once with always, after maxAge otherwise', async () => {
      const seen = async (key: string): Promise<string | undefined> => (await weir.s3.get(bucket, key))?.toString();
      await direct.put(bucket, 'fresh/changing', 'one');
      await forgetBeliefs();
      assert.equal(await seen('fresh/changing'), 'one');
      await weir.rest('PATCH', `mounts?path=/${bucket}/`, {freshness: 'always'});
      for (const value of ['two', 'three, longer', '4']) {
        await direct.put(bucket, 'fresh/changing', value);
        assert.equal(await seen('fresh/changing'), value);
      }
      await direct.put(bucket, 'fresh/new', 'new');
      assert.deepEqual(await weir.s3.keys(bucket, 'fresh/'), ['fresh/changing', 'fresh/new']);
      await direct.remove(bucket, 'fresh/changing');
      assert.equal(await seen('fresh/changing'), undefined);
      assert.deepEqual(await weir.s3.keys(bucket, 'fresh/'), ['fresh/new']);
      await weir.rest('PATCH', `mounts?path=/${bucket}/`, {freshness: '1s'});
      assert.equal(await seen('fresh/new'), 'new');
      await direct.put(bucket, 'fresh/new', 'newer');
      await eventually('the new version is seen', async () => (await seen('fresh/new')) === 'newer', 5000);
    });
  });
}
