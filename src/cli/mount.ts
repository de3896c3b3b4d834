/** weir mount add, ls, set, rm */
import type {Command} from 'commander';
import {awsOptions} from '#cli/aws-environment.ts';
import {example, pairOption, type Register, withFiles} from '#cli/command.ts';
import {json, pathArgument, print, showName, table} from '#cli/output.ts';
import {formatFreshness, maskOptions, parseFreshness, parseWriteType} from '#model/mount.ts';
import {mountJson} from '#codec/rest/values.ts';

interface MountFlags {
  readonly o?: Record<string, string>;
  readonly readOnly?: boolean;
  readonly maxAge?: string;
  readonly writeType?: string;
}

/** `-o maxAge=…`, `-o writeType=…` and `-o readOnly=true` are options of the mount, all others of the connector. */
function split(flags: MountFlags) {
  const {maxAge: ageOption, writeType: typeOption, readOnly: readOnlyOption, ...options} = flags.o ?? {};
  const age = flags.maxAge ?? ageOption;
  const readOnly = flags.readOnly ?? (readOnlyOption === undefined ? undefined : readOnlyOption === 'true');
  const writeType = flags.writeType ?? typeOption;
  return {options, ...(writeType === undefined ? {} : {writeType: parseWriteType(writeType)}), ...(age === undefined ? {} : {freshness: parseFreshness(age)}), ...(readOnly === undefined ? {} : {readOnly})};
}

export const writeTypeHelp = 'when a write is acknowledged: CACHE_THROUGH (the store has it) or ASYNC_THROUGH (the cache has it durably, the store gets it behind)';

export const registerMount: Register = (parent, environment) => {
  const group = parent.command('mount').description('bind directories to storage systems');

  const add: Command = group
    .command('add PATH URI')
    .description('mount a store at a directory; s3:// also takes endpoint, region and credentials from the AWS environment')
    .option('-o <NAME=VALUE>', 'an option of the store; repeatable', pairOption)
    .option('--read-only', 'refuse every change')
    .option('--max-age <AGE>', 'how long metadata is believed unasked: 60s, always, immutable')
    .option('--write-type <TYPE>', writeTypeHelp)
    .action(async (path: string, uri: string, flags: MountFlags) => {
      await withFiles(environment, add, async (files, context, globals) => {
        const {options: given, ...rest} = split(flags);
        const info = await environment.instance(globals.home).find();
        const options = awsOptions(uri, given, environment.variables, info?.s3 ?? '');
        const mount = await files.mount({path: pathArgument(path), uri, options, ...rest}, context);
        const taken = Object.keys(options).filter(name => !(name in given));
        if (taken.length > 0) environment.terminal.err(`weir: from the AWS environment, and kept with the mount: ${taken.join(', ')}\n`);
        await print(environment.terminal, globals.json, mountJson(mount), `${mount.uri} is at ${showName(mount.path)}\n`);
      });
    });
  example(add, 'weir mount add /logs s3://my-logs/2026 -o region=eu-west-1 --max-age 5m');

  const ls: Command = group
    .command('ls')
    .description('what is mounted where')
    .action(async () => {
      await withFiles(environment, ls, async (files, context, globals) => {
        const mounts = await files.listMounts(context);
        const rows = mounts.map((mount) => [
          showName(mount.path),
          mount.uri,
          mount.readOnly ? 'ro' : 'rw',
          formatFreshness(mount.freshness),
          mount.writeType ?? 'default',
          Object.entries(maskOptions(mount.options)).map(([name, value]) => `${name}=${value}`).join(' '),
        ]);
        await print(environment.terminal, globals.json, mounts.map(mountJson), table(['PATH', 'URI', 'MODE', 'FRESHNESS', 'WRITES', 'OPTIONS'], rows));
      });
    });
  example(ls, 'weir mount ls');

  const set: Command = group
    .command('set PATH')
    .description('change options of a live mount; those that are not named stay')
    .option('-o <NAME=VALUE>', 'an option of the store; an empty value takes it away; repeatable', pairOption)
    .option('--read-only', 'refuse every change')
    .option('--no-read-only', 'allow changes')
    .option('--max-age <AGE>', 'how long metadata is believed unasked: 60s, always, immutable')
    .option('--write-type <TYPE>', writeTypeHelp)
    .action(async (path: string, flags: MountFlags) => {
      await withFiles(environment, set, async (files, context, globals) => {
        const before = (await files.listMounts(context)).find((mount) => mount.path === pathArgument(path.endsWith('/') ? path : `${path}/`));
        const {options: changed, ...rest} = split(flags);
        const merged = Object.fromEntries(Object.entries({...before?.options, ...changed}).filter(([, value]) => value !== ''));
        const change = Object.keys(changed).length > 0 ? {options: merged, ...rest} : rest;
        const mount = await files.updateMount(pathArgument(path), change, context);
        await print(environment.terminal, globals.json, mountJson(mount), '');
      });
    });
  example(set, 'weir mount set /logs --max-age always');

  const rm: Command = group
    .command('rm PATH')
    .description('forget a mount; the store is left as it is')
    .action(async (path: string) => {
      await withFiles(environment, rm, async (files, context, globals) => {
        await files.unmount(pathArgument(path), context);
        if (globals.json) await environment.terminal.out(json({unmounted: path}));
      });
    });
  example(rm, 'weir mount rm /logs');
};
