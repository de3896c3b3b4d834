/**
 * TLS at both ends: a store behind a certificate of a private authority, and our own S3 and REST with `--tls-cert` and `--tls-key`, spoken to
 * by clients that nobody here wrote.
 */
import assert from 'node:assert/strict';
import {execFile} from 'node:child_process';
import {createHash, randomBytes} from 'node:crypto';
import {once} from 'node:events';
import {mkdir, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {connect as connectPlain} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {after, describe, test} from 'node:test';
import {connect as connectTls} from 'node:tls';
import {promisify} from 'node:util';
import {pythonClients} from '../servers/python-clients.ts';
import {type S3Server, startVersitygw} from '../servers/s3-servers.ts';
import {findProgram, need} from '../servers/tools.ts';
import {Weir} from './harness.ts';

const run = promisify(execFile);
const main = path.resolve(import.meta.dirname, '../../src/process/main.ts');
const directory = await mkdtemp(path.join(tmpdir(), 'weir-tls-'));
const openssl = await need('openssl', 'TLS at both ends', async () => {
  const found = await findProgram('openssl');
  if (!found) throw new Error('not in PATH');
  return found;
});
const certificates = openssl === undefined ? undefined : await makeCertificates(openssl);
const store = certificates && (await startVersitygw('TLS at both ends', certificates.server));
const python = store && (await pythonClients('boto3 by https'));
if (!store || !certificates || !python) await rm(directory, {recursive: true});
else describeTls(store, certificates);

interface Certificates {
  readonly authority: string;
  /** For localhost and 127.0.0.1. */
  readonly server: {readonly certFile: string; readonly keyFile: string};
  /** Of another authority. */
  readonly stranger: string;
}

async function makeCertificates(program: string): Promise<Certificates> {
  const file = (name: string): string => path.join(directory, name);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  for (const name of ['authority', 'stranger']) await run(program, ['req', '-x509', ...key, '-keyout', file(`${name}.key`), '-out', file(`${name}.pem`), '-subj', `/CN=${name}`]);
  await run(program, ['req', ...key, '-keyout', file('server.key'), '-out', file('server.csr'), '-subj', '/CN=weir']);
  await writeFile(file('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  await run(program, ['x509', '-req', '-in', file('server.csr'), '-CA', file('authority.pem'), '-CAkey', file('authority.key'), '-CAcreateserial', '-days', '2', '-extfile', file('names'), '-out', file('server.pem')]);
  return {authority: file('authority.pem'), server: {certFile: file('server.pem'), keyFile: file('server.key')}, stranger: file('stranger.pem')};
}

function describeTls(origin: S3Server, {authority, server, stranger}: Certificates): void {
  const bucket = 'lake';
  const tlsArgs = ['--tls-cert', server.certFile, '--tls-key', server.keyFile];
  const access = {
    AWS_ENDPOINT_URL_S3: origin.endpoint, AWS_ACCESS_KEY_ID: origin.accessKeyId, AWS_SECRET_ACCESS_KEY: origin.secretAccessKey, AWS_REGION: origin.region,
    AWS_EC2_METADATA_DISABLED: 'true', AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null', AWS_CA_BUNDLE: '', NODE_EXTRA_CA_CERTS: '',
  };

  describe('TLS', async () => {
    await mkdir(path.join(origin.data, bucket));
    const object = randomBytes(9_000_001);
    await writeFile(path.join(origin.data, bucket, 'there before'), object);
    const weir = await Weir.start({args: [`s3://${bucket}`, '-o', `caFile=${authority}`, ...tlsArgs], env: access});
    const environment = {...weir.awsEnvironment, AWS_CA_BUNDLE: authority, BUCKET: bucket, SCRATCH: directory};
    after(async () => {
      await weir[Symbol.asyncDispose]();
      await origin.stop();
      await rm(directory, {recursive: true});
    });
    const {hostname, port} = new URL(weir.ready.s3);
    const ca = await readFile(authority, 'utf8');

    test('boto3 and the AWS command line write and read through both', {timeout: 120_000}, async () => {
      assert.match(weir.ready.s3, /^https:/);
      const said = await python!.run(
        `
import boto3, hashlib, io, os
s3 = boto3.client('s3')
bucket = os.environ['BUCKET']
for _ in range(2):
    print(hashlib.md5(s3.get_object(Bucket=bucket, Key='there before')['Body'].read()).hexdigest())
print(hashlib.md5(s3.get_object(Bucket=bucket, Key='there before', Range='bytes=70000-8999999')['Body'].read()).hexdigest())
body = os.urandom(20_000_000)
s3.upload_fileobj(io.BytesIO(body), bucket, 'in parts')
s3.put_object(Bucket=bucket, Key='small', Body=b'few')
assert s3.get_object(Bucket=bucket, Key='in parts')['Body'].read() == body
print(sorted(o['Key'] for o in s3.list_objects_v2(Bucket=bucket)['Contents']))
`,
        environment,
      );
      const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');
      assert.deepEqual(said.trim().split('\n'), [md5(object), md5(object), md5(object.subarray(70_000, 9_000_000)), "['in parts', 'small', 'there before']"]);
      assert.equal((await readFile(path.join(origin.data, bucket, 'small'))).toString(), 'few');
      assert.equal((await readFile(path.join(origin.data, bucket, 'in parts'))).length, 20_000_000);
      const copy = path.join(directory, 'copy');
      await run(python!.aws, ['s3', 'cp', '--quiet', `s3://${bucket}/there before`, copy], {env: {...process.env, ...environment}});
      assert.ok((await readFile(copy)).equals(object));
    });

    test('curl signs, sends and reads; who trusts another authority does not', async () => {
      const {accessKeyId, secretAccessKey} = weir.ready;
      const curl = (trusted: string, ...args: string[]) =>
        run('curl', ['--silent', '--show-error', '--fail', '--cacert', trusted, '--aws-sigv4', 'aws:amz:us-east-1:s3', '--user', `${accessKeyId}:${secretAccessKey}`, ...args], {maxBuffer: 64 << 20, encoding: 'buffer'});
      const url = `${weir.ready.s3}/${bucket}`;
      await curl(authority, '--upload-file', server.certFile, '-H', 'x-amz-content-sha256: UNSIGNED-PAYLOAD', `${url}/by-curl`);
      const {stdout} = await curl(authority, '-H', 'x-amz-content-sha256: UNSIGNED-PAYLOAD', `${url}/by-curl`);
      assert.ok(stdout.equals(await readFile(server.certFile)));
      await assert.rejects(curl(stranger, `${url}/by-curl`), /certificate/);
      const health = await run('curl', ['--silent', '--fail', '--cacert', authority, `${weir.ready.http}/healthz`]);
      assert.ok(health.stdout.length > 0);
    });

    test('speaks TLS 1.2 and 1.3, only HTTP/1.1, and outlives what is no handshake', async () => {
      for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
        const socket = connectTls({host: hostname, port: Number(port), ca, minVersion: version, maxVersion: version, ALPNProtocols: ['h2', 'http/1.1']});
        await once(socket, 'secureConnect');
        assert.deepEqual([socket.getProtocol(), socket.alpnProtocol], [version, 'http/1.1']);
        // Half-closed after the request: still answered.
        socket.end('GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
        const text = Buffer.concat((await Array.fromAsync(socket)) as Buffer[]).toString();
        assert.match(text, /^HTTP\/1.1 403 /);
      }
      await assert.rejects(once(connectTls({host: hostname, port: Number(port), ca, maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0'}), 'secureConnect'));
      for (const nonsense of ['GET / HTTP/1.1\r\nHost: h\r\n\r\n', randomBytes(2000), Buffer.from('160301ffff', 'hex')]) {
        const socket = connectPlain(Number(port), hostname).on('error', () => {});
        socket.end(nonsense);
        socket.resume();
        await once(socket, 'close');
      }
      assert.match(await python!.run("import boto3; print(boto3.client('s3').list_buckets()['Buckets'][0]['Name'])", environment), /lake/);
      assert.doesNotMatch(weir.log, /failed by a bug/);
    });

    test('who reads nothing does not hold the bytes of all in memory', async () => {
      const before = await weir.anonymousBytes();
      const url = (await python!.run("import boto3, os; print(boto3.client('s3').generate_presigned_url('get_object', Params={'Bucket': os.environ['BUCKET'], 'Key': 'in parts'}))", environment)).trim();
      const {pathname, search} = new URL(url);
      const sockets = await Promise.all(
        Array.from({length: 40}, async () => {
          const socket = connectTls({host: hostname, port: Number(port), ca}).on('error', () => {}).pause();
          await once(socket, 'secureConnect');
          socket.write(`GET ${pathname}${search} HTTP/1.1\r\nHost: ${hostname}:${port}\r\n\r\n`);
          return socket;
        }),
      );
      await once(sockets[0]!, 'readable');
      for (let i = 0; i < 20; i++) await run('true');
      const grown = (await weir.anonymousBytes()) - before;
      for (const socket of sockets) socket.destroy();
      assert.ok(grown < 40 * (2 << 20) + (100 << 20), `${Math.round(grown / (1 << 20))} MiB for 40 answers of 19 MiB that nobody reads`);
    });

    test('the command line finds its own instance, whatever names its certificate has', async () => {
      const weirCommand = (...args: string[]) => run(process.execPath, ['--conditions=source', main, '--home', weir.home, ...args]);
      assert.match((await weirCommand('metrics')).stdout, /# TYPE /);
      assert.match((await weirCommand('env')).stdout, /AWS_ENDPOINT_URL='https:/);
      assert.doesNotMatch((await weirCommand('env')).stdout, /AWS_CA_BUNDLE/, 'only for certificates that sign themselves');
    });

    test('a store whose certificate is not trusted is not spoken to, and $AWS_CA_BUNDLE is taken', {timeout: 120_000}, async () => {
      const small = `s3://${bucket}`;
      for (const env of [{...access, AWS_CA_BUNDLE: authority}, {...access, NODE_EXTRA_CA_CERTS: authority}]) {
        await using other = await Weir.start({args: [small], env});
        assert.equal(String(await other.s3.get(bucket, 'small')), 'few');
      }
      for (const options of [[], ['-o', `caFile=${stranger}`]]) {
        await assert.rejects(Weir.start({args: [small, '-o', 'retries=1', ...options], env: access}), /certificate of the server is not trusted/);
      }
      await assert.rejects(Weir.start({args: [small, '-o', `caFile=${path.join(directory, 'names')}`], env: access}), /holds no certificate in PEM form/);
    });

    test('a key that does not belong to the certificate is said at the start', async () => {
      await assert.rejects(Weir.start({args: ['--tls-cert', stranger, '--tls-key', server.keyFile]}), /TLS cannot be spoken with this certificate and key/);
      await assert.rejects(Weir.start({args: ['--tls-cert', path.join(directory, 'names'), '--tls-key', server.keyFile]}), /holds no certificate/);
      await assert.rejects(Weir.start({args: ['--tls-cert', server.certFile]}), /belong together/);
    });
  });
}
