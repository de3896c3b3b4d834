import path from 'node:path';
import {commandLine} from './command-line.ts';
import type {Client} from './client.ts';
import {dotParts, emptyParts, markers} from './names.ts';
import {clientEnvironment, moreClients} from './python.ts';

export const rclone: Client = {
  name: 'rclone',
  version: '1.75.2',
  cannot: [
    {names: markers, why: 'says that it is a directory'},
    {names: emptyParts, why: 'makes one slash of several, and takes those at the beginning away'},
    {names: dotParts, why: 'puts the wide full stop U+FF0E in the place of a part of dots'},
    {names: ['tab and line feed', 'carriage return', 'control characters'], doing: ['list'], why: 'shows the pictures of control characters, as ␉'},
  ],
  start: async access => {
    const bin = await moreClients();
    if (bin === undefined) return undefined;
    const remote = {RCLONE_CONFIG: '/dev/null', RCLONE_CONFIG_WEIR_TYPE: 's3', RCLONE_CONFIG_WEIR_PROVIDER: 'Other', RCLONE_CONFIG_WEIR_ENDPOINT: access.endpoint, RCLONE_CONFIG_WEIR_ENV_AUTH: 'true'};
    const run = commandLine(path.join(bin, 'rclone'), {...clientEnvironment(access), ...remote, RCLONE_S3_NO_CHECK_BUCKET: 'true', RCLONE_S3_CHUNK_SIZE: '8M', RCLONE_S3_UPLOAD_CUTOFF: '8M'});
    const uri = (key: string, bucket = access.bucket): string => `weir:${bucket}/${key}`;
    return {
      put: (key, file) => run('copyto', file, uri(key)),
      get: (bucket, key, file) => run('copyto', uri(key, bucket), file),
      list: async bucket => (JSON.parse(await run('lsjson', '-R', '--files-only', '--no-mimetype', '--no-modtime', `weir:${bucket}`)) as {Path: string}[]).map(({Path}) => Path),
      putLarge: (key, file) => run('copyto', file, uri(key)),
      copy: (from, to) => run('copyto', uri(from), uri(to)),
      presignGet: async key => (await run('link', uri(key))).trim(),
      remove: key => run('deletefile', uri(key)),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  },
};
