import path from 'node:path';
import {commandLine} from './command-line.ts';
import type {Client} from './client.ts';
import {markers, outsideXml} from './names.ts';
import {clientEnvironment, moreClients} from './python.ts';

export const s5cmd: Client = {
  name: 's5cmd',
  version: '2.3.0',
  cannot: [
    {names: markers, why: 'a name that ends in a slash is a folder, into which it puts the file'},
    {names: ['#?', 'globs'], doing: ['presignGet'], why: 'says that it cannot contain glob characters'},
    {names: outsideXml, doing: ['list'], why: 'asks for listings without encoding-type=url, and XML 1.0 cannot hold them'},
    {names: outsideXml, doing: ['remove', 'removeMany'], why: 'deletes by DeleteObjects only, and XML 1.0 cannot hold them'},
  ],
  start: async access => {
    const bin = await moreClients();
    if (bin === undefined) return undefined;
    const program = commandLine(path.join(bin, 's5cmd'), clientEnvironment(access));
    const run = (...args: string[]): Promise<string> => program('--endpoint-url', access.endpoint, ...args);
    const uri = (key: string, bucket = access.bucket): string => `s3://${bucket}/${key}`;
    return {
      put: (key, file) => run('cp', '--raw', file, uri(key)),
      get: (bucket, key, file) => run('cp', '--raw', uri(key, bucket), file),
      list: async bucket => (await run('--json', 'ls', `s3://${bucket}/*`)).trim().split('\n').map(line => (JSON.parse(line) as {key: string}).key.slice(`s3://${bucket}/`.length)),
      putLarge: (key, file) => run('cp', '--part-size', '8', file, uri(key)),
      copy: (from, to) => run('cp', '--raw', uri(from), uri(to)),
      presignGet: async key => (await run('presign', uri(key))).trim(),
      remove: key => run('rm', '--raw', uri(key)),
      removeMany: keys => run('rm', '--raw', ...keys.map(key => uri(key))),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  },
};
