import path from 'node:path';
import {commandLine} from './command-line.ts';
import type {Client} from './client.ts';
import {markers, outsideXml} from './names.ts';
import {clientEnvironment, moreClients} from './python.ts';

export const s3cmd: Client = {
  name: 's3cmd',
  version: '2.4.0',
  cannot: [
    {names: markers, why: 'says "Expecting S3 URI with a filename"; an empty file it puts under the name without the slash'},
    {names: ['tab and line feed', 'carriage return'], why: 'cuts its arguments at the end of a line'},
    {names: ['globs'], doing: ['get', 'copy', 'remove', 'removeMany'], why: 'expands patterns'},
    {names: outsideXml, doing: ['list'], why: 'asks for listings without encoding-type=url, and XML 1.0 cannot hold them'},
  ],
  start: async access => {
    const bin = await moreClients();
    if (bin === undefined) return undefined;
    const {host} = new URL(access.endpoint);
    const key = [`--access_key=${access.accessKeyId}`, `--secret_key=${access.secretAccessKey}`];
    const settings = ['-c', '/dev/null', '--no-ssl', `--host=${host}`, `--host-bucket=${host}`, ...key, '--region=us-east-1', '--no-progress', '--no-preserve'];
    const program = commandLine(path.join(bin, 's3cmd'), clientEnvironment(access));
    const run = (...args: string[]): Promise<string> => program(...settings, ...args);
    const uri = (key: string, bucket = access.bucket): string => `s3://${bucket}/${key}`;
    return {
      put: (key, file) => run('put', file, uri(key)),
      get: (bucket, key, file) => run('get', '--force', uri(key, bucket), file),
      list: async bucket => [...(await run('ls', '--recursive', `s3://${bucket}`)).matchAll(/^\S+ \S+ +\d+ +s3:\/\/[^/]+\/([^]*?)(?=\n\d{4}-\d\d-\d\d \d\d:\d\d|\n$)/gm)].map(([, key]) => key!),
      putLarge: (key, file) => run('put', '--multipart-chunk-size-mb=8', file, uri(key)),
      copy: (from, to) => run('cp', uri(from), uri(to)),
      presignGet: async key => (await run('signurl', uri(key), '+600')).trim(),
      remove: key => run('rm', uri(key)),
      removeMany: keys => run('rm', ...keys.map(key => uri(key))),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  },
};
