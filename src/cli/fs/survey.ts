/** weir fs du, df, find, tree: looking over many files. */
import {type ByteString, toText} from '#base/byte-string.ts';
import {isKind, WeirError} from '#base/errors.ts';
import {formatSize} from '#base/units.ts';
import {example, type Register, sizeOption, withFiles} from '#cli/command.ts';
import {json, pathArgument, print, showName, table} from '#cli/output.ts';
import {walk} from '#cli/walk.ts';
import type {FileSystem} from '#client/file-system.ts';
import type {CallContext} from '#contracts/context.ts';

/** Of a file: itself. */
async function usageOf(files: FileSystem, path: ByteString, context: CallContext): Promise<Awaited<ReturnType<FileSystem['usage']>>> {
  try {
    return await files.usage(path, context);
  } catch (error) {
    if (!isKind(error, 'NotFound', 'NotADirectory')) throw error;
  }
  const {inode, length} = await files.stat(path, {}, context);
  return {files: inode.kind === 'directory' ? 0 : 1, directories: 0, bytes: length};
}

export const registerDu: Register = (parent, environment) => {
  const command = parent
    .command('du [PATH...]')
    .description('bytes and files below directories (of mounts and the root: as far as they are known)')
    .option('-H, --human', 'sizes as 1.5 MiB')
    .action(async (paths: string[], options: {human?: boolean}) => {
      await withFiles(environment, command, async (files, context, globals) => {
        for (const path of paths.length > 0 ? paths : ['/']) {
          const usage = await usageOf(files, pathArgument(path), context);
          const size = options.human ? formatSize(usage.bytes) : String(usage.bytes);
          await print(environment.terminal, globals.json, {path, ...usage}, `${size}\t${usage.files} files\t${usage.directories} directories\t${path}\n`);
        }
      });
    });
  example(command, 'weir fs du -H /my-bucket');
};

export const registerDf: Register = (parent, environment) => {
  const command = parent
    .command('df')
    .description('the cache tiers: size, use, state')
    .option('-H, --human', 'sizes as 1.5 MiB')
    .action(async (options: {human?: boolean}) => {
      await withFiles(environment, command, async (files, context, globals) => {
        const {tiers} = await files.status(context);
        const size = (bytes: number) => (options.human ? formatSize(bytes) : String(bytes));
        const rows = tiers.map((tier) => [tier.name, size(tier.quotaBytes), size(tier.usedBytes), `${Math.round((100 * tier.usedBytes) / Math.max(1, tier.quotaBytes))}%`, tier.state, tier.directory]);
        await print(environment.terminal, globals.json, tiers, table(['TIER', 'SIZE', 'USED', 'USE', 'STATE', 'DIRECTORY'], rows, [1, 2, 3]));
      });
    });
  example(command, 'weir fs df -H');
};

/** A shell pattern over one name: `*`, `?`, `[abc]`. */
function namePattern(pattern: string): RegExp {
  const source = pattern.replace(/[.+^${}()|\\]/g, '\\$&').replace(/\*/g, '[^/]*').replace(/\?/g, '[^/]').replace(/\[!/g, '[^');
  try {
    return new RegExp(`^${source}$`, 's');
  } catch {
    throw new WeirError('InvalidArgument', `not a pattern: ${pattern}`);
  }
}

export const registerFind: Register = (parent, environment) => {
  const command = parent
    .command('find [PATH]')
    .description('paths below a directory that match')
    .option('--name <PATTERN>', 'the last name matches a shell pattern')
    .option('--type <KIND>', 'f (files), d (directories) or l (links)')
    .option('--larger <BYTES>', 'files over that size', sizeOption)
    .action(async (path: string | undefined, options: {name?: string; type?: string; larger?: number}) => {
      const kind = options.type === undefined ? undefined : ({f: 'file', d: 'directory', l: 'symlink'} as Record<string, string>)[options.type];
      if (options.type !== undefined && kind === undefined) throw new WeirError('InvalidArgument', `--type is f, d or l, not ${options.type}`);
      const pattern = options.name === undefined ? undefined : namePattern(options.name);
      await withFiles(environment, command, async (files, context, globals) => {
        for await (const {key, info} of walk(files, pathArgument(path ?? '/'), 'tree', context)) {
          const name = toText(key).replace(/\/$/, '').replace(/^.*\//s, '');
          if (kind !== undefined && info.inode.kind !== kind) continue;
          if (pattern && !pattern.test(name)) continue;
          if (options.larger !== undefined && !(info.inode.kind === 'file' && info.length > options.larger)) continue;
          await environment.terminal.out(globals.json ? json({path: toText(info.path), length: info.length}) : `${showName(info.path)}\n`);
        }
      });
    });
  example(command, "weir fs find /my-bucket --name '*.parquet' --larger 100MiB");
};

export const registerTree: Register = (parent, environment) => {
  const command = parent
    .command('tree [PATH]')
    .description('a directory and everything below, drawn')
    .action(async (path: string | undefined) => {
      await withFiles(environment, command, async (files, context, globals) => {
        const root = await files.stat(pathArgument(path ?? '/'), {}, context);
        if (!globals.json) await environment.terminal.out(`${showName(root.path)}\n`);
        for await (const {key, info} of walk(files, root.path, 'tree', context)) {
          const names = key.replace(/\/$/, '').split('/');
          const name = showName(`${names.at(-1)!}${info.inode.kind === 'directory' ? '/' : ''}` as typeof key);
          await environment.terminal.out(globals.json ? json({path: toText(info.path), length: info.length}) : `${'  '.repeat(names.length)}${name}\n`);
        }
      });
    });
  example(command, 'weir fs tree /my-bucket');
};
