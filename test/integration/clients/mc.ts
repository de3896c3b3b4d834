import {goTool, need} from '../../servers/tools.ts';
import {commandLine} from './command-line.ts';
import type {Client} from './client.ts';
import {markers} from './names.ts';
import {clientEnvironment} from './python.ts';

export const mc: Client = {
  name: 'minio-mc',
  version: 'RELEASE.2025-03-12',
  cannot: [
    {names: markers, why: 'a name that ends in a slash is a folder'},
  ],
  start: async access => {
    const program = await need('mc', 'stock clients', () => goTool('mc', 'github.com/minio/mc@v0.0.0-20250313080218-cf909e1063a9'));
    if (program === undefined) return undefined;
    const {endpoint, accessKeyId, secretAccessKey} = access;
    const run = commandLine(program, {...clientEnvironment(access), MC_CONFIG_DIR: access.scratch, MC_HOST_weir: endpoint.replace('//', `//${accessKeyId}:${secretAccessKey}@`), MC_QUIET: 'true'});
    const uri = (key: string, bucket = access.bucket): string => `weir/${bucket}/${key}`;
    return {
      put: (key, file) => run('put', file, uri(key)),
      get: (bucket, key, file) => run('get', uri(key, bucket), file),
      list: async bucket => (await run('--json', 'ls', '--recursive', `weir/${bucket}`)).trim().split('\n').map(line => (JSON.parse(line) as {key: string}).key),
      putLarge: (key, file) => run('put', '--part-size', '8MiB', file, uri(key)),
      copy: (from, to) => run('cp', uri(from), uri(to)),
      presignGet: async key => (JSON.parse(await run('--json', 'share', 'download', uri(key))) as {share: string}).share,
      remove: key => run('rm', uri(key)),
      removeMany: keys => run('rm', '--force', ...keys.map(key => uri(key))),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  },
};
