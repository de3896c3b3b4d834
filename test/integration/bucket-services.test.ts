/** Notification, websites and inventories, set up by boto3 and the AWS command line, carried out by a real process, and watched with ordinary tools. */
import assert from 'node:assert/strict';
import {execFile} from 'node:child_process';
import {once} from 'node:events';
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {createServer, request as httpRequest} from 'node:http';
import type {AddressInfo} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {after, describe, test} from 'node:test';
import {promisify} from 'node:util';
import {freePort} from '../servers/daemon.ts';
import {pythonClients} from '../servers/python-clients.ts';
import {eventually, Weir} from './harness.ts';

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, '../..');
const python = await pythonClients('notification, websites and inventories');

if (python) {
  const scratch = await mkdtemp(path.join(tmpdir(), 'weir-services-'));
  const websitePort = await freePort();
  const weir = await Weir.start({args: ['--website-port', String(websitePort)]});
  const told: {readonly event: string; readonly authorization: string | undefined}[] = [];
  const receiver = createServer((request, response) => {
    void (async () => {
      const {Records: [record] = [], Event} = JSON.parse(Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>)).toString()) as {Records?: {eventName: string}[]; Event?: string};
      told.push({event: record?.eventName ?? Event ?? '', authorization: request.headers.authorization});
      response.end();
    })();
  });
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');

  const cli = async (...args: string[]): Promise<string> =>
    (await run(process.execPath, ['--conditions=source', path.join(root, 'src/process/main.ts'), ...args, '--home', weir.home], {cwd: scratch})).stdout;
  const aws = async (...args: string[]): Promise<string> =>
    (await run(python.aws, args, {env: {...process.env, ...weir.awsEnvironment, AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null', NO_PROXY: '*'}})).stdout;
  /** With a Host of its own, which fetch does not allow. */
  const visit = async (target: string, host = `site.web.test:${websitePort}`): Promise<{status: number; location: string | undefined; text: string}> => {
    const request = httpRequest({host: '127.0.0.1', port: websitePort, path: target, headers: {host}});
    request.end();
    const [response] = (await once(request, 'response')) as [import('node:http').IncomingMessage];
    const text = Buffer.concat(await Array.fromAsync(response as AsyncIterable<Buffer>)).toString();
    return {status: response.statusCode!, location: response.headers.location, text};
  };

  describe('what a bucket does by itself', () => {
    after(async () => {
      await weir[Symbol.asyncDispose]();
      receiver.closeAllConnections();
      receiver.close();
      await rm(scratch, {recursive: true, force: true});
    });

    test('notification: weir webhook, boto3, the AWS command line', async () => {
      await writeFile(path.join(scratch, 'token'), 'of-the-operator\n');
      const added = JSON.parse(await cli('webhook', 'add', 'hook', `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`, '--token-file', 'token', '--json')) as {arn: string};
      assert.equal(added.arn, 'arn:weir:sqs::hook:webhook');
      const program = `
import boto3, os
from botocore.exceptions import ClientError
s3 = boto3.client('s3')
s3.create_bucket(Bucket='told')
rules = {'QueueConfigurations': [{'Id': 'q', 'QueueArn': os.environ['ARN'], 'Events': ['s3:ObjectCreated:*'], 'Filter': {'Key': {'FilterRules': [{'Name': 'Prefix', 'Value': 'in/'}]}}}],
  'TopicConfigurations': [{'Id': 't', 'TopicArn': os.environ['ARN'], 'Events': ['s3:ObjectRemoved:*', 's3:ObjectTagging:Put']}],
  'LambdaFunctionConfigurations': [{'Id': 'f', 'LambdaFunctionArn': os.environ['ARN'], 'Events': ['s3:ObjectAcl:Put']}]}
s3.put_bucket_notification_configuration(Bucket='told', NotificationConfiguration=rules, SkipDestinationValidation=True)
got = s3.get_bucket_notification_configuration(Bucket='told'); got.pop('ResponseMetadata')
assert got == rules, got
try: s3.put_bucket_notification_configuration(Bucket='told', NotificationConfiguration={'QueueConfigurations': [{'QueueArn': os.environ['ARN'], 'Events': ['s3:ObjectCreated:*']}] * 2}); assert False
except ClientError as e: assert e.response['Error']['Code'] == 'InvalidArgument', e.response
s3.put_object(Bucket='told', Key='in/a', Body=b'x'); s3.put_object(Bucket='told', Key='out/a', Body=b'x')
s3.put_object_tagging(Bucket='told', Key='in/a', Tagging={'TagSet': [{'Key': 'k', 'Value': 'v'}]})
s3.delete_objects(Bucket='told', Delete={'Objects': [{'Key': 'in/a'}]})
`;
      await python.run(program, {...weir.awsEnvironment, ARN: added.arn});
      const expected = ['ObjectCreated:Put', 'ObjectRemoved:Delete', 'ObjectTagging:Put', 's3:TestEvent'];
      await eventually('all is told', async () => told.length >= expected.length);
      assert.deepEqual(told.map(({event}) => event).sort(), expected);
      assert.ok(told.every(({authorization}) => authorization === 'Bearer of-the-operator'));
      await assert.rejects(cli('webhook', 'rm', 'hook'), /names the webhook/);
      await aws('s3api', 'put-bucket-notification-configuration', '--bucket', 'told', '--notification-configuration', '{}');
      await cli('webhook', 'rm', 'hook');
      assert.equal(await cli('webhook', 'ls', '--json'), '[]\n');
    });

    test('a website: aws s3 website, and what a browser sees', async () => {
      const program = `
import boto3, json
s3 = boto3.client('s3')
s3.create_bucket(Bucket='site')
statement = {'Effect': 'Allow', 'Principal': '*', 'Action': ['s3:GetObject', 's3:ListBucket'], 'Resource': ['arn:aws:s3:::site', 'arn:aws:s3:::site/*']}
s3.put_bucket_policy(Bucket='site', Policy=json.dumps({'Version': '2012-10-17', 'Statement': [statement]}))
for key, text in {'index.html': 'home', 'docs/index.html': 'docs', 'error.html': 'sorry'}.items(): s3.put_object(Bucket='site', Key=key, Body=text, ContentType='text/html')
s3.put_object(Bucket='site', Key='moved', Body=b'x', WebsiteRedirectLocation='/docs/')
`;
      await python.run(program, weir.awsEnvironment);
      await aws('s3', 'website', 's3://site', '--index-document', 'index.html', '--error-document', 'error.html');
      assert.deepEqual(await visit('/'), {status: 200, location: undefined, text: 'home'});
      assert.deepEqual(await visit('/docs'), {status: 302, location: '/docs/', text: ''});
      assert.deepEqual(await visit('/docs/'), {status: 200, location: undefined, text: 'docs'});
      assert.deepEqual(await visit('/moved'), {status: 301, location: '/docs/', text: ''});
      assert.deepEqual(await visit('/nothing'), {status: 404, location: undefined, text: 'sorry'});
      assert.deepEqual(await visit('/site/docs/', `127.0.0.1:${websitePort}`), {status: 200, location: undefined, text: 'docs'});
      assert.equal((await visit('/', 'nobody.test')).status, 404);
      await aws('s3api', 'delete-bucket-website', '--bucket', 'site');
      assert.equal((await visit('/')).status, 404);
    });

    test('an inventory: boto3, weir inventory run, and the report as Python reads it', async () => {
      const program = `
import boto3, csv, gzip, hashlib, io, json, os
s3 = boto3.client('s3')
if os.environ['STEP'] == 'set up':
    for b in ('stock', 'reports'): s3.create_bucket(Bucket=b)
    for i in range(30): s3.put_object(Bucket='stock', Key='k/%02d ü' % i, Body=b'x' * i)
    c = {'Id': 'list', 'IsEnabled': True, 'IncludedObjectVersions': 'Current', 'Schedule': {'Frequency': 'Weekly'}, 'OptionalFields': ['Size', 'ETag', 'LastModifiedDate'], 'Filter': {'Prefix': 'k/1'},
      'Destination': {'S3BucketDestination': {'Bucket': 'arn:aws:s3:::reports', 'Format': 'CSV', 'Prefix': 'p'}}}
    s3.put_bucket_inventory_configuration(Bucket='stock', Id='list', InventoryConfiguration=c)
    assert s3.get_bucket_inventory_configuration(Bucket='stock', Id='list')['InventoryConfiguration'] == c
    assert s3.list_bucket_inventory_configurations(Bucket='stock')['InventoryConfigurationList'] == [c]
    assert 'AnalyticsConfigurationList' not in s3.list_bucket_analytics_configurations(Bucket='stock')
    assert 'MetricsConfigurationList' not in s3.list_bucket_metrics_configurations(Bucket='stock')
    assert 'IntelligentTieringConfigurationList' not in s3.list_bucket_intelligent_tiering_configurations(Bucket='stock')
else:
    keys = [o['Key'] for o in s3.list_objects_v2(Bucket='reports', Prefix='p/stock/list/')['Contents']]
    manifest = next(k for k in keys if k.endswith('manifest.json'))
    text = s3.get_object(Bucket='reports', Key=manifest)['Body'].read()
    assert s3.get_object(Bucket='reports', Key=manifest.replace('.json', '.checksum'))['Body'].read().decode() == hashlib.md5(text).hexdigest()
    m = json.loads(text)
    data = s3.get_object(Bucket='reports', Key=m['files'][0]['key'])['Body'].read()
    assert len(data) == m['files'][0]['size'] and hashlib.md5(data).hexdigest() == m['files'][0]['MD5checksum']
    rows = list(csv.reader(io.StringIO(gzip.decompress(data).decode())))
    assert m['fileSchema'] == 'Bucket, Key, Size, LastModifiedDate, ETag', m
    assert [r[:3] for r in rows] == [['stock', 'k/%02d%%20%%C3%%BC' % i, str(i)] for i in range(10, 20)], rows
    assert all(r[4] == hashlib.md5(b'x' * int(r[2])).hexdigest() for r in rows)
`;
      await python.run(program, {...weir.awsEnvironment, STEP: 'set up'});
      const {rows, manifest} = JSON.parse(await cli('inventory', 'run', 'stock', 'list', '--json')) as {rows: number; manifest: string};
      assert.equal(rows, 10);
      assert.match(manifest, /^\/reports\/p\/stock\/list\/.*\/manifest\.json$/);
      assert.match(await cli('inventory', 'ls', 'stock'), /list\s+Weekly\s+Current\s+\/reports\/p/);
      await python.run(program, {...weir.awsEnvironment, STEP: 'read'});
    });
  });
}
