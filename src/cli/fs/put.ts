/** weir fs put: local files, a local tree, or standard input into the namespace. */
import {type ByteString, fromText, toText} from '#base/byte-string.ts';
import {isKind, WeirError} from '#base/errors.ts';
import {example, type Register, withFiles} from '#cli/command.ts';
import type {CliEnvironment} from '#cli/environment.ts';
import {pathArgument, print, showName} from '#cli/output.ts';
import {Progress} from '#cli/progress.ts';
import type {FileSystem} from '#client/file-system.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {infoJson} from '#codec/rest/values.ts';

const chunkBytes = 1024 * 1024;

interface Upload {
  readonly local: string;
  readonly remote: ByteString;
  readonly bytes: number;
}

/** All files below a local path, in the order of the directories. */
async function* localFiles(environment: CliEnvironment, local: string, remote: ByteString): AsyncGenerator<Upload> {
  const {disk} = environment.runtime;
  const stat = await disk.stat(local);
  if (stat.kind === 'file') yield {local, remote, bytes: stat.size};
  else if (stat.kind === 'directory') {
    for (const name of (await disk.readDirectory(local)).sort()) yield* localFiles(environment, `${local}/${name}`, `${remote}/${fromText(name)}` as ByteString);
  } else throw new WeirError('Unsupported', `${local} is neither a file nor a directory`);
}

async function putFile(environment: CliEnvironment, files: FileSystem, upload: Upload, progress: Progress, context: CallContext): Promise<FileInfo> {
  await using source = await environment.runtime.disk.open(upload.local, {mode: 'read'});
  const writer = await files.create(upload.remote, {kind: 'file', parents: 'explicit', length: upload.bytes}, context);
  try {
    for (let at = 0; at < upload.bytes; ) {
      const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, upload.bytes - at));
      const count = await source.read(chunk, at);
      if (count === 0) throw new WeirError('ContentChanged', `${upload.local} became shorter while it was read`);
      await writer.write(chunk.subarray(0, count));
      at += count;
      progress.add(count);
    }
    return await writer.commit({length: upload.bytes});
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

async function putInput(environment: CliEnvironment, files: FileSystem, remote: ByteString, progress: Progress, context: CallContext): Promise<FileInfo> {
  const writer = await files.create(remote, {kind: 'file', parents: 'explicit'}, context);
  try {
    for await (const chunk of environment.terminal.input) {
      await writer.write(chunk);
      progress.add(chunk.length);
    }
    return await writer.commit();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

/** Where LOCAL goes: into PATH when that is a directory or ends in `/`, else to PATH itself. */
async function destination(files: FileSystem, local: string, path: string, context: CallContext): Promise<ByteString> {
  const to = pathArgument(path);
  const name = fromText(local.replace(/\/+$/, '').replace(/^.*\//, ''));
  if (to.endsWith('/')) return `${to}${name}` as ByteString;
  try {
    const info = await files.stat(to, {}, context);
    return info.inode.kind === 'directory' ? (`${info.path}${name}` as ByteString) : to;
  } catch (error) {
    if (isKind(error, 'NotFound')) return to;
    throw error;
  }
}

export const registerPut: Register = (parent, environment) => {
  const command = parent
    .command('put LOCAL PATH')
    .description('copy a local file, directory (-r) or standard input (-) into the namespace')
    .option('-r, --recursive', 'a directory with everything below')
    .option('-f, --force', 'replace what is there')
    .action(async (local: string, path: string, options: {recursive?: boolean; force?: boolean}) => {
      await withFiles(environment, command, async (files, context, globals) => {
        const {terminal, runtime} = environment;
        const refuse = async (remote: ByteString) => {
          if (options.force) return;
          const there = await files.stat(remote, {kind: 'file'}, context).catch((error: unknown) => {
            if (isKind(error, 'NotFound')) return undefined;
            throw error;
          });
          if (there) throw new WeirError('AlreadyExists', `${toText(remote)} is already there; add -f to replace it`);
        };
        if (local === '-') {
          const remote = pathArgument(path);
          await refuse(remote);
          using progress = new Progress(terminal, runtime.clock, showName(remote));
          const info = await putInput(environment, files, remote, progress, context);
          return print(terminal, globals.json, infoJson(info), '');
        }
        const absolute = local.startsWith('/') ? local : `${environment.workingDirectory}/${local}`;
        const stat = await runtime.disk.stat(absolute);
        if (stat.kind === 'directory' && !options.recursive) throw new WeirError('IsADirectory', `${local} is a directory; add -r to take it whole`);
        const uploads: Upload[] = [];
        for await (const upload of localFiles(environment, absolute.replace(/\/+$/, ''), await destination(files, local, path, context))) uploads.push(upload);
        using progress = new Progress(terminal, runtime.clock, 'put', uploads.reduce((sum, {bytes}) => sum + bytes, 0));
        for (const upload of uploads) {
          await refuse(upload.remote);
          const info = await putFile(environment, files, upload, progress, context);
          await print(terminal, globals.json, infoJson(info), '');
        }
      });
    });
  example(command, 'weir fs put -r ./table /my-bucket/', 'tar c . | weir fs put - /my-bucket/backup.tar');
};
