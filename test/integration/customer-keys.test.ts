/**
 * Keys of clients (SSE-C) as boto3 and the AWS command line use them, over a real S3 store: what lies there is ciphertext, what comes back
 * is right, also after a kill and after the cache was emptied; whole objects also by a Weir that never heard of them.
 */
import assert from 'node:assert/strict';
import {execFile} from 'node:child_process';
import {createHash, hash, randomBytes} from 'node:crypto';
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {after, describe, test} from 'node:test';
import {promisify} from 'node:util';
import {pythonClients} from '../servers/python-clients.ts';
import {startStack, Weir} from './harness.ts';

const run = promisify(execFile);
const stack = await startStack('keys of clients through weir up', {mountOptions: ['maxAge=10m'], rttMs: 2});
const python = stack && (await pythonClients('keys of clients with boto3 and awscli'));
const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');

if (stack) {
  const {weir, direct, store, bucket, link} = stack;
  const scratch = await mkdtemp(path.join(tmpdir(), 'weir-sse-c-'));
  const key = randomBytes(32);
  const otherKey = randomBytes(32);
  const headersOf = (bytes: Buffer) => ({
    'x-amz-server-side-encryption-customer-algorithm': 'AES256', 'x-amz-server-side-encryption-customer-key': bytes.toString('base64'), 'x-amz-server-side-encryption-customer-key-md5': hash('md5', bytes, 'base64'),
  });
  const read = async (from: Weir, name: string, with_ = key) => await from.s3.request('GET', `/${bucket}/${name}`, {headers: headersOf(with_)});

  describe('keys of clients', () => {
    after(async () => {
      await rm(scratch, {recursive: true, force: true});
      direct.close();
      await stack[Symbol.asyncDispose]();
    });

    test('boto3: put, get, ranges, parts, copies, presigned URLs', {skip: !python}, async () => {
      const program = `
import boto3, hashlib, io, json, os, urllib.request
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError
s3 = boto3.client('s3', config=Config(s3={'addressing_style': 'path'}, signature_version='s3v4'))
bucket, key, other = os.environ['BUCKET'], bytes.fromhex(os.environ['KEY']), bytes.fromhex(os.environ['OTHER'])
mine = {'SSECustomerAlgorithm': 'AES256', 'SSECustomerKey': key}
body = b'the plaintext of a sealed object ' * 200
r = s3.put_object(Bucket=bucket, Key='sealed/whole', Body=body, Metadata={'a': 'b'}, **mine)
assert r['SSECustomerAlgorithm'] == 'AES256', r
g = s3.get_object(Bucket=bucket, Key='sealed/whole', **mine)
assert g['Body'].read() == body and g['Metadata'] == {'a': 'b'} and g['ETag'] == r['ETag'], g
assert s3.get_object(Bucket=bucket, Key='sealed/whole', Range='bytes=33-99', **mine)['Body'].read() == body[33:100]
for wrong in ({}, {'SSECustomerAlgorithm': 'AES256', 'SSECustomerKey': other}):
    for call in (s3.get_object, s3.head_object):
        try: call(Bucket=bucket, Key='sealed/whole', **wrong); assert False
        except ClientError as e: assert e.response['ResponseMetadata']['HTTPStatusCode'] == 400, e.response
big = bytes(range(256)) * (13 << 12)
config = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
s3.upload_fileobj(io.BytesIO(big), bucket, 'sealed/parts', Config=config, ExtraArgs=mine)
out = io.BytesIO(); s3.download_fileobj(bucket, 'sealed/parts', out, ExtraArgs=mine, Config=config); assert out.getvalue() == big
assert s3.get_object(Bucket=bucket, Key='sealed/parts', Range='bytes=5242879-5242881', **mine)['Body'].read() == big[5242879:5242882]
s3.copy({'Bucket': bucket, 'Key': 'sealed/parts'}, bucket, 'sealed/copy in parts', Config=config,
  ExtraArgs={'CopySourceSSECustomerAlgorithm': 'AES256', 'CopySourceSSECustomerKey': key, 'SSECustomerAlgorithm': 'AES256', 'SSECustomerKey': other},
  SourceClient=s3)
assert s3.get_object(Bucket=bucket, Key='sealed/copy in parts', SSECustomerAlgorithm='AES256', SSECustomerKey=other)['Body'].read() == big
s3.copy_object(Bucket=bucket, Key='opened', CopySource={'Bucket': bucket, 'Key': 'sealed/whole'}, CopySourceSSECustomerAlgorithm='AES256', CopySourceSSECustomerKey=key)
assert s3.get_object(Bucket=bucket, Key='opened')['Body'].read() == body
url = s3.generate_presigned_url('get_object', Params={'Bucket': bucket, 'Key': 'sealed/whole', **mine})
import base64
prefix = 'x-amz-server-side-encryption-customer-'
headers = {prefix + 'algorithm': 'AES256', prefix + 'key': base64.b64encode(key).decode(), prefix + 'key-MD5': base64.b64encode(hashlib.md5(key).digest()).decode()}
assert urllib.request.build_opener(urllib.request.ProxyHandler({})).open(urllib.request.Request(url, headers=headers)).read() == body
print(hashlib.md5(big).hexdigest())
`;
      const expected = (await python!.run(program, {...weir.awsEnvironment, BUCKET: bucket, KEY: key.toString('hex'), OTHER: otherKey.toString('hex')})).trim();
      const [whole, parts] = [(await direct.get(bucket, 'sealed/whole'))!, (await direct.get(bucket, 'sealed/parts'))!];
      assert.deepEqual([whole.length, parts.length], [33 * 200, 13 << 20]);
      assert.ok(!whole.includes('plaintext') && !parts.includes(Buffer.from(Array.from({length: 64}, (_, i) => i))));
      assert.match((await direct.get(bucket, 'opened'))!.toString(), /^the plaintext of a sealed object /);
      assert.equal(md5((await read(weir, 'sealed/parts')).body), expected);
    });

    test('the AWS command line: up in parts, down, across', {skip: !python}, async () => {
      const keyFile = path.join(scratch, 'key');
      await writeFile(keyFile, key);
      const aws = async (...args: string[]): Promise<string> => {
        const env = {...process.env, ...weir.awsEnvironment, AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null', NO_PROXY: '*'};
        return (await run(python!.aws, args, {env, maxBuffer: 16 << 20})).stdout;
      };
      const sealed = ['--sse-c', 'AES256', '--sse-c-key', `fileb://${keyFile}`];
      const bytes = randomBytes(17 << 20);
      await writeFile(path.join(scratch, 'file'), bytes);
      await aws('s3', 'cp', '--no-progress', ...sealed, path.join(scratch, 'file'), `s3://${bucket}/cli/file`);
      await aws('s3', 'cp', '--no-progress', ...sealed, `s3://${bucket}/cli/file`, path.join(scratch, 'back'));
      assert.equal(md5(await readFile(path.join(scratch, 'back'))), md5(bytes));
      await aws('s3', 'cp', '--no-progress', '--sse-c-copy-source', 'AES256', '--sse-c-copy-source-key', `fileb://${keyFile}`, `s3://${bucket}/cli/file`, `s3://${bucket}/cli/opened`);
      assert.equal(md5((await direct.get(bucket, 'cli/opened'))!), md5(bytes));
      await assert.rejects(aws('s3', 'cp', '--no-progress', `s3://${bucket}/cli/file`, path.join(scratch, 'never')), /400/);
      await assert.rejects(readFile(path.join(scratch, 'never')));
    });

    test('kept through kill -9 and an empty cache; no other door opens it', async () => {
      const bytes = randomBytes(300_000);
      const put = await weir.s3.request('PUT', `/${bucket}/kept`, {headers: headersOf(key), body: bytes});
      assert.equal(put.status, 200);
      await weir.restart('SIGKILL');
      assert.ok((await read(weir, 'kept')).body.equals(bytes));
      await weir.rest('POST', 'free', {path: `/${bucket}/kept`});
      const before = link.counters.requests;
      assert.ok((await read(weir, 'kept')).body.equals(bytes));
      assert.ok(link.counters.requests > before, 'read from the store again');
      assert.equal((await read(weir, 'kept', otherKey)).status, 400);
      const refused = await weir.restResponse('GET', `content?path=/${bucket}/kept`);
      assert.equal(refused.status, 403);
      assert.match(await refused.text(), /SSE-C/);
      assert.equal((await weir.rest<{encryption?: string}>('GET', `files?path=/${bucket}/kept`)).encryption, 'SSE-C');
      for (const secret of [key.toString('base64'), key.toString('hex'), hash('md5', key, 'base64')]) {
        assert.ok(!weir.log.includes(secret) && !(await readFile(path.join(weir.home, 'log/audit.log'), 'utf8')).includes(secret), 'in a log');
      }
    });

    test('a Weir that never heard of it reads a whole object with the key, and says so of parts', async () => {
      const env = {
        AWS_ENDPOINT_URL_S3: store.endpoint, AWS_ACCESS_KEY_ID: store.accessKeyId, AWS_SECRET_ACCESS_KEY: store.secretAccessKey, AWS_REGION: store.region,
        AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
      };
      await using another = await Weir.start({args: [`s3://${bucket}`], env});
      await another.s3.keys(bucket);
      assert.equal((await another.s3.request('GET', `/${bucket}/kept`)).status, 400);
      assert.equal((await read(another, 'kept')).body.length, 300_000);
      assert.equal(md5((await read(another, 'kept')).body), md5((await read(weir, 'kept')).body));
      if (python) assert.equal((await read(another, 'sealed/parts')).status, 500);
    });
  });
}
