/** weir fs get: files of the namespace to local disk. */
import {toText} from '#base/byte-string.ts';
import {isKind, WeirError} from '#base/errors.ts';
import {example, type Register, withFiles} from '#cli/command.ts';
import type {CliEnvironment} from '#cli/environment.ts';
import {json, pathArgument, showName} from '#cli/output.ts';
import {Progress} from '#cli/progress.ts';
import {filesBelow} from '#cli/walk.ts';
import type {FileSystem} from '#client/file-system.ts';
import {bodyChunks} from '#contracts/body-chunks.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';

/** Names that would leave the target directory, or that a local file system cannot hold. */
function safeRelative(key: string): string {
  const names = key.split('/');
  if (names.some((name) => name === '' || name === '.' || name === '..')) throw new WeirError('InvalidPath', `${key} cannot be a local file name`);
  return key;
}

/** Into a temporary file beside the target, then renamed: the target is never half there. */
async function getFile(environment: CliEnvironment, files: FileSystem, info: FileInfo, local: string, progress: Progress, context: CallContext): Promise<void> {
  const {disk, random} = environment.runtime;
  const temporary = `${local}.${random.id().slice(0, 8)}.part`;
  await using file = await files.open(info.path, {kind: 'file', range: {offset: 0}}, context);
  try {
    await using target = await disk.open(temporary, {mode: 'exclusive'});
    let at = 0;
    if (file.info.length > 0) {
      for await (const chunk of bodyChunks(await file.read({offset: 0, length: file.info.length}, context))) {
        await target.write([chunk], at);
        at += chunk.length;
        progress.add(chunk.length);
      }
    }
    if (at !== file.info.length) throw new WeirError('IncompleteBody', `${toText(info.path)} ended after ${at} of ${file.info.length} bytes`);
  } catch (error) {
    await disk.unlink(temporary).catch(() => undefined);
    throw error;
  }
  await disk.rename(temporary, local);
}

export const registerGet: Register = (parent, environment) => {
  const command = parent
    .command('get PATH [LOCAL]')
    .description('copy a file or directory (-r) to local disk')
    .option('-r, --recursive', 'a directory with everything below')
    .option('-f, --force', 'replace what is there')
    .action(async (path: string, local: string | undefined, options: {recursive?: boolean; force?: boolean}) => {
      await withFiles(environment, command, async (files, context, globals) => {
        const {disk, clock} = environment.runtime;
        const info = await files.stat(pathArgument(path), {}, context);
        const directory = info.inode.kind === 'directory';
        if (directory && !options.recursive) throw new WeirError('IsADirectory', `${path} is a directory; add -r to take it whole`);
        const name = toText(info.path).replace(/\/$/, '').replace(/^.*\//, '') || 'root';
        let base = local ?? name;
        if (!base.startsWith('/')) base = `${environment.workingDirectory}/${base}`;
        const there = await disk.stat(base).catch((error: unknown) => {
          if (isKind(error, 'NotFound')) return undefined;
          throw error;
        });
        if (there?.kind === 'directory') base = `${base.replace(/\/+$/, '')}/${name}`;
        using progress = new Progress(environment.terminal, clock, showName(info.path), directory ? undefined : info.length);
        for await (const {key, info: file} of filesBelow(files, info.path, context)) {
          const target = directory ? `${base}/${safeRelative(toText(key))}` : base;
          await disk.makeDirectory(target.replace(/\/[^/]*$/, '') || '/', {recursive: true});
          if (!options.force) {
            const existing = await disk.stat(target).catch(() => undefined);
            if (existing) throw new WeirError('AlreadyExists', `${target} is already there; add -f to replace it`);
          }
          await getFile(environment, files, file, target, progress, context);
          if (globals.json) await environment.terminal.out(json({path: toText(file.path), local: target, length: file.length}));
        }
      });
    });
  example(command, 'weir fs get /my-bucket/model.bin .', 'weir fs get -r /my-bucket/table ./table');
};
