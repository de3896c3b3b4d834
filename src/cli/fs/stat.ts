/** weir fs stat */
import {toText} from '#base/byte-string.ts';
import {example, type Register, withFiles} from '#cli/command.ts';
import {pathArgument, print, showMode, showName, showTime, table} from '#cli/output.ts';
import {persistRows} from '#cli/persist.ts';
import {infoJson, persistJson} from '#codec/rest/values.ts';
import {s3XattrPrefix} from '#model/inode.ts';
import {isSealed, withoutSeal} from '#model/seal.ts';

export const registerStat: Register = (parent, environment) => {
  const command = parent
    .command('stat PATH...')
    .description('everything that is known of a file or directory')
    .action(async (paths: string[]) => {
      await withFiles(environment, command, async (files, context, globals) => {
        for (const path of paths) {
          const info = await files.stat(pathArgument(path), {}, context);
          const {inode} = info;
          const pending = inode.content?.pending && (await files.listPending({path: info.path, limit: 1}, context)).entries[0];
          const rows = [
            ['path', showName(info.path)],
            ['kind', inode.kind],
            ['id', String(inode.id)],
            ['length', String(info.length)],
            ['mode', `${showMode(info)} (${(inode.mode & 0o7777).toString(8).padStart(4, '0')})`],
            ['owner', `${inode.uid}:${inode.gid}`],
            ['modified', showTime(inode.mtime)],
            ['changed', showTime(inode.ctime)],
            ...(inode.target === undefined ? [] : [['target', toText(inode.target)]]),
            ...(inode.content ? [['etag', inode.content.etag], ['content', String(inode.content.id)]] : []),
            ...(pending ? persistRows(pending, environment.runtime.clock.nowMs()) : []),
            ...Object.entries(withoutSeal(inode.content?.metadata ?? {})),
            ...(inode.content && isSealed(inode.content) ? [['encryption', 'with a key of its owner (SSE-C): to be read through S3 only']] : []),
            ...Object.keys(inode.xattrs ?? {}).filter((name) => !name.startsWith(s3XattrPrefix)).map((name) => ['xattr', name]),
          ];
          await print(environment.terminal, globals.json, {...infoJson(info), ...(pending ? {pending: persistJson(pending)} : {})}, table([], rows));
        }
      });
    });
  example(command, 'weir fs stat /my-bucket/table/part-0.parquet');
};
