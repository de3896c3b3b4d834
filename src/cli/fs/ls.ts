/** weir fs ls */
import {toText} from '#base/byte-string.ts';
import {formatSize} from '#base/units.ts';
import {example, type Register, withFiles} from '#cli/command.ts';
import {json, pathArgument, showMode, showName, showTime, table} from '#cli/output.ts';
import {walk} from '#cli/walk.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {infoJson} from '#codec/rest/values.ts';

/** Lines are aligned in groups, so that a directory of millions prints as it comes. */
const rowsPerTable = 1000;

export const registerLs: Register = (parent, environment) => {
  const command = parent
    .command('ls [PATH]')
    .description('list a directory')
    .option('-R, --recursive', 'everything below')
    .option('-H, --human', 'sizes as 1.5 MiB')
    .option('-l', 'mode, owner, size and time: always shown')
    .action(async (path: string | undefined, options: {recursive?: boolean; human?: boolean}) => {
      await withFiles(environment, command, async (files, context, globals) => {
        const info = await files.stat(pathArgument(path ?? '/'), {}, context);
        let rows: string[][] = [];
        const flush = async () => {
          await environment.terminal.out(table([], rows, [2, 3]));
          rows = [];
        };
        const show = async (entry: FileInfo, name: string) => {
          if (globals.json) return environment.terminal.out(json(infoJson(entry)));
          const size = options.human ? formatSize(entry.length) : String(entry.length);
          const target = entry.inode.target === undefined ? '' : ` -> ${toText(entry.inode.target)}`;
          rows.push([showMode(entry), `${entry.inode.uid}:${entry.inode.gid}`, size, showTime(entry.inode.mtime), `${name}${target}`]);
          if (rows.length >= rowsPerTable) await flush();
        };
        if (info.inode.kind === 'directory') {
          for await (const {key, info: entry} of walk(files, info.path, options.recursive ? 'tree' : 'children', context)) await show(entry, showName(key));
        } else await show(info, showName(info.path));
        await flush();
      });
    });
  example(command, 'weir fs ls -H /my-bucket', 'weir fs ls -R --json /my-bucket/logs | jq .length');
};
