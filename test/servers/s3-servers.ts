/** Real S3 servers that nobody here wrote. */
import {createHash, createHmac} from 'node:crypto';
import {mkdir} from 'node:fs/promises';
import path from 'node:path';
import {accepts, answers, type Daemon, startDaemon} from './daemon.ts';
import {goTool, need} from './tools.ts';

export interface S3Server extends Daemon {
  /** `http://127.0.0.1:PORT`, or `https://localhost:PORT` with a certificate. */
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
  /** The folder behind it, where a bucket is a directory (versitygw only). */
  readonly data: string;
  /** Makes a bucket. */
  readonly makeBucket: (name: string) => Promise<void>;
}

const credentials = {accessKeyId: 'weirtest', secretAccessKey: 'weirtest-secret'};

export interface PemFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** versitygw, which is also a suite of tests for any S3. */
export const versitygwProgram = (): Promise<string> => goTool('versitygw', 'github.com/versity/versitygw/cmd/versitygw@v1.8.0');

/** versitygw: S3 over a folder; checks signatures; by https with a certificate for `localhost`. Undefined where it cannot be had (see `need`). */
export async function startVersitygw(forWhat: string, tls?: PemFiles): Promise<S3Server | undefined> {
  const program = await need('versitygw', forWhat, versitygwProgram);
  if (program === undefined) return undefined;
  return withBuckets(
    await startDaemon({
      name: 'versitygw',
      command: async (port, directory) => {
        await mkdir(path.join(directory, 'data'));
        return {
          program,
          args: ['--port', `127.0.0.1:${port}`, '--health', '/healthz', '--keep-alive', ...(tls ? ['--cert', tls.certFile, '--key', tls.keyFile] : []), 'posix', path.join(directory, 'data')],
          env: {ROOT_ACCESS_KEY: credentials.accessKeyId, ROOT_SECRET_KEY: credentials.secretAccessKey},
        };
      },
      ready: port => (tls ? accepts(port) : answers(`http://127.0.0.1:${port}/healthz`)),
    }),
    tls !== undefined,
  );
}

/** MinIO. */
export async function startMinio(forWhat: string): Promise<S3Server | undefined> {
  const program = await need('minio', forWhat, () => goTool('minio', 'github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c'));
  if (program === undefined) return undefined;
  return withBuckets(
    await startDaemon({
      name: 'minio',
      command: async (port, directory) => ({
        program,
        args: ['server', '--address', `127.0.0.1:${port}`, '--config-dir', path.join(directory, 'conf'), path.join(directory, 'data')],
        env: {MINIO_ROOT_USER: credentials.accessKeyId, MINIO_ROOT_PASSWORD: credentials.secretAccessKey, MINIO_BROWSER: 'off', MINIO_UPDATE: 'off'},
      }),
      ready: port => answers(`http://127.0.0.1:${port}/minio/health/ready`),
    }),
  );
}

function withBuckets(daemon: Daemon, secure = false): S3Server {
  const endpoint = secure ? `https://localhost:${daemon.port}` : `http://127.0.0.1:${daemon.port}`;
  const region = 'us-east-1';
  return {
    ...daemon,
    endpoint,
    ...credentials,
    region,
    data: path.join(daemon.directory, 'data'),
    makeBucket: async name => {
      // fetch would not trust the certificate; a folder is a bucket here.
      if (secure) {
        await mkdir(path.join(daemon.directory, 'data', name));
        return;
      }
      const response = await fetch(`${endpoint}/${name}`, {method: 'PUT', headers: signedHeaders('PUT', new URL(`${endpoint}/${name}`), region)});
      if (!response.ok) throw new Error(`the bucket ${name} could not be made: ${response.status} ${await response.text()}`);
      await response.body?.cancel();
    },
  };
}

/** The shortest signer that makes a bucket; on purpose not the product's. */
function signedHeaders(method: string, url: URL, region: string): Record<string, string> {
  const now = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const day = now.slice(0, 8);
  const hash = createHash('sha256').update('').digest('hex');
  const canonical = [method, url.pathname, '', `host:${url.host}`, `x-amz-content-sha256:${hash}`, `x-amz-date:${now}`, '', 'host;x-amz-content-sha256;x-amz-date', hash].join('\n');
  const scope = `${day}/${region}/s3/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', now, scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
  const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
  const key = hmac(hmac(hmac(hmac(`AWS4${credentials.secretAccessKey}`, day), region), 's3'), 'aws4_request');
  return {
    'x-amz-date': now,
    'x-amz-content-sha256': hash,
    authorization: `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=${hmac(key, toSign).toString('hex')}`,
  };
}
