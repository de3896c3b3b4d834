/** weir fs cp, mv, rm, mkdir, touch, chmod, chown: what changes names and attributes. */
import {type ByteString, toText} from '#base/byte-string.ts';
import {isKind, WeirError} from '#base/errors.ts';
import {example, type Register, withFiles} from '#cli/command.ts';
import {json, pathArgument, print} from '#cli/output.ts';
import {Progress} from '#cli/progress.ts';
import {filesBelow} from '#cli/walk.ts';
import type {FileSystem} from '#client/file-system.ts';
import type {CallContext} from '#contracts/context.ts';
import {infoJson} from '#codec/rest/values.ts';

/** Into a directory under the same name, else to the path itself, as `cp` and `mv` do. */
async function target(files: FileSystem, from: ByteString, path: string, context: CallContext): Promise<ByteString> {
  const to = pathArgument(path);
  const name = from.replace(/\/$/, '').replace(/^.*\//, '');
  if (to.endsWith('/')) return `${to}${name}` as ByteString;
  const there = await files.stat(to, {}, context).catch((error: unknown) => {
    if (isKind(error, 'NotFound')) return undefined;
    throw error;
  });
  return there?.inode.kind === 'directory' ? (`${there.path}${name}` as ByteString) : to;
}

export const registerCp: Register = (parent, environment) => {
  const command = parent
    .command('cp FROM TO')
    .description('copy within the namespace')
    .option('-r, --recursive', 'a directory with everything below')
    .action(async (from: string, to: string, options: {recursive?: boolean}) => {
      await withFiles(environment, command, async (files, context, globals) => {
        const info = await files.stat(pathArgument(from), {}, context);
        const directory = info.inode.kind === 'directory';
        if (directory && !options.recursive) throw new WeirError('IsADirectory', `${from} is a directory; add -r to take it whole`);
        const base = await target(files, info.path, to, context);
        if (directory && `${base}/`.startsWith(info.path)) throw new WeirError('InvalidArgument', `${from} cannot be copied into itself`);
        using progress = new Progress(environment.terminal, environment.runtime.clock, 'cp', directory ? undefined : info.length);
        for await (const {key, info: file} of filesBelow(files, info.path, context)) {
          const copied = await files.copy(file.path, directory ? (`${base}/${key}` as ByteString) : base, {kind: 'file'}, context);
          progress.add(file.length);
          if (globals.json) await environment.terminal.out(json(infoJson(copied)));
        }
      });
    });
  example(command, 'weir fs cp -r /my-bucket/table /other-bucket/');
};

export const registerMv: Register = (parent, environment) => {
  const command = parent
    .command('mv FROM TO')
    .description('rename a file or a whole directory, within one mount')
    .option('-f, --force', 'replace what is there')
    .action(async (from: string, to: string, options: {force?: boolean}) => {
      await withFiles(environment, command, async (files, context, globals) => {
        const info = await files.stat(pathArgument(from), {}, context);
        const renamed = await files.rename(info.path, await target(files, info.path, to, context), {replace: options.force === true}, context);
        await print(environment.terminal, globals.json, infoJson(renamed), '');
      });
    });
  example(command, 'weir fs mv /my-bucket/_temporary/part-0 /my-bucket/part-0');
};

export const registerRm: Register = (parent, environment) => {
  const command = parent
    .command('rm PATH...')
    .description('remove files, and directories with -r; also in the store behind')
    .option('-r, --recursive', 'with everything below')
    .option('-f, --force', 'no error for what is not there')
    .action(async (paths: string[], options: {recursive?: boolean; force?: boolean}) => {
      await withFiles(environment, command, async (files, context) => {
        for (const path of paths) {
          try {
            await files.remove(pathArgument(path), {recursive: options.recursive === true}, context);
          } catch (error) {
            if (!(options.force && isKind(error, 'NotFound'))) throw error;
          }
        }
      });
    });
  example(command, 'weir fs rm -r /my-bucket/old-table');
};

export const registerMkdir: Register = (parent, environment) => {
  const command = parent
    .command('mkdir PATH...')
    .description('make directories; at the root: buckets')
    .option('-p, --parents', 'parents too, and no error for what is already there')
    .action(async (paths: string[], options: {parents?: boolean}) => {
      await withFiles(environment, command, async (files, context, globals) => {
        const all = options.parents === true;
        for (const path of paths) {
          const info = await files.makeDirectory(pathArgument(path), {parents: all, existing: all ? 'keep' : 'fail'}, context);
          await print(environment.terminal, globals.json, infoJson(info), '');
        }
      });
    });
  example(command, 'weir fs mkdir /my-bucket', 'weir fs mkdir -p /my-bucket/a/b/c');
};

export const registerTouch: Register = (parent, environment) => {
  const command = parent
    .command('touch PATH...')
    .description('set the time of files to now; make empty ones where there are none')
    .action(async (paths: string[]) => {
      await withFiles(environment, command, async (files, context) => {
        for (const path of paths) {
          try {
            const now = environment.runtime.clock.nowNs();
            await files.setAttributes(pathArgument(path), {atime: now, mtime: now}, {}, context);
          } catch (error) {
            if (!isKind(error, 'NotFound')) throw error;
            const writer = await files.create(pathArgument(path), {kind: 'file', parents: 'none', length: 0}, context);
            await writer.commit({length: 0});
          }
        }
      });
    });
  example(command, 'weir fs touch /my-bucket/_SUCCESS');
};

export const registerChmod: Register = (parent, environment) => {
  const command = parent
    .command('chmod MODE PATH...')
    .description('set permission bits (octal)')
    .action(async (mode: string, paths: string[]) => {
      if (!/^[0-7]{1,4}$/.test(mode)) throw new WeirError('InvalidArgument', `not an octal mode: ${mode} (write for example 0644)`);
      await withFiles(environment, command, async (files, context) => {
        for (const path of paths) await files.setAttributes(pathArgument(path), {mode: Number.parseInt(mode, 8)}, {}, context);
      });
    });
  example(command, 'weir fs chmod 0640 /my-bucket/secret.csv');
};

export const registerChown: Register = (parent, environment) => {
  const command = parent
    .command('chown OWNER PATH...')
    .description('set owner and group by number: UID, UID:GID or :GID')
    .action(async (owner: string, paths: string[]) => {
      const match = /^(\d*)(?::(\d+))?$/.exec(owner);
      if (!match || owner === '') throw new WeirError('InvalidArgument', `not an owner: ${owner} (write UID, UID:GID or :GID)`);
      const patch = {...(match[1] ? {uid: Number(match[1])} : {}), ...(match[2] ? {gid: Number(match[2])} : {})};
      await withFiles(environment, command, async (files, context) => {
        for (const path of paths) await files.setAttributes(pathArgument(path), patch, {}, context);
      });
    });
  example(command, 'weir fs chown 1000:1000 /my-bucket/data');
};

export const registerChecksum: Register = (parent, environment) => {
  const command = parent
    .command('checksum PATH...')
    .description('the checksums that are kept with files')
    .action(async (paths: string[]) => {
      await withFiles(environment, command, async (files, context, globals) => {
        for (const path of paths) {
          const {inode, path: shown} = await files.stat(pathArgument(path), {kind: 'file'}, context);
          const kept: Record<string, string> = {etag: inode.content?.etag ?? '', ...inode.content?.checksums};
          const lines = Object.entries(kept).map(([name, value]) => `${name}\t${value}\t${toText(shown)}\n`);
          await print(environment.terminal, globals.json, {path: toText(shown), ...kept}, lines.join(''));
        }
      });
    });
  example(command, 'weir fs checksum /my-bucket/model.bin');
};
