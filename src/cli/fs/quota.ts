/** weir fs quota: how many bytes may lie below a directory. */
import type {Command} from 'commander';
import {WeirError} from '#base/errors.ts';
import {formatSize, parseSize} from '#base/units.ts';
import {example, type Register, withFiles} from '#cli/command.ts';
import {pathArgument, print, showName} from '#cli/output.ts';

const setting = 'quota';

export const registerQuota: Register = (parent, environment) => {
  const group = parent.command('quota').description('how many bytes may lie below a directory, in files as long as they are; old versions do not count');
  const directory = (path: string) => pathArgument(path.endsWith('/') ? path : `${path}/`);

  const set: Command = group
    .command('set PATH BYTES')
    .description('limit a directory (bytes, or as 10GiB); what is there already is counted and stays')
    .action(async (path: string, bytes: string) => {
      const limit = parseSize(bytes);
      await withFiles(environment, set, async (files, context) => void (await files.setSetting(directory(path), setting, String(limit), context)));
    });
  example(set, 'weir fs quota set /my-bucket/team 10GiB');

  const show: Command = group
    .command('show PATH')
    .description('the quota of a directory, or of the nearest above, and how much of it is used')
    .action(async (path: string) => {
      await withFiles(environment, show, async (files, context, globals) => {
        const quota = await files.quota(directory(path), context);
        if (!quota) throw new WeirError('NotFound', `${path} has no quota, nor has any directory above`);
        const {limit, used, counting} = quota;
        const text = `${showName(quota.path)}: ${formatSize(used)} of ${formatSize(limit)}${counting ? ', still being counted' : ''}\n`;
        await print(environment.terminal, globals.json, {path: quota.path, limit, used, counting}, text);
      });
    });
  example(show, 'weir fs quota show /my-bucket/team/data');

  const remove: Command = group
    .command('remove PATH')
    .description('take the quota from a directory')
    .action(async (path: string) => {
      await withFiles(environment, remove, async (files, context) => void (await files.setSetting(directory(path), setting, null, context)));
    });
  example(remove, 'weir fs quota remove /my-bucket/team');
};
