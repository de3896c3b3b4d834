/** weir fs cat, head, tail: bytes of files to standard output. */
import {example, type Register, sizeOption, withFiles} from '#cli/command.ts';
import type {CliEnvironment} from '#cli/environment.ts';
import {pathArgument} from '#cli/output.ts';
import type {FileSystem, RangeSpec} from '#client/file-system.ts';
import {bodyChunks} from '#contracts/body-chunks.ts';
import type {CallContext} from '#contracts/context.ts';
import {isKind} from '#base/errors.ts';

async function copyOut(environment: CliEnvironment, files: FileSystem, path: string, range: RangeSpec | undefined, context: CallContext): Promise<void> {
  await using file = await files.open(pathArgument(path), {kind: 'either', ...(range ? {range} : {})}, context);
  if (file.info.length === 0) return;
  try {
    for await (const chunk of bodyChunks(await file.read(file.resolve(range), context))) await environment.terminal.out(chunk);
  } catch (error) {
    if (!isKind(error, 'RangeNotSatisfiable')) throw error;
  }
}

export const registerCat: Register = (parent, environment) => {
  const command = parent
    .command('cat PATH...')
    .description('print files')
    .option('--offset <BYTES>', 'start there', sizeOption)
    .option('--length <BYTES>', 'print at most so many', sizeOption)
    .action(async (paths: string[], options: {offset?: number; length?: number}) => {
      const range = options.offset === undefined && options.length === undefined ? undefined : {offset: options.offset ?? 0, ...(options.length === undefined ? {} : {length: options.length})};
      await withFiles(environment, command, async (files, context) => {
        for (const path of paths) await copyOut(environment, files, path, range, context);
      });
    });
  example(command, 'weir fs cat /my-bucket/log.txt | grep error', 'weir fs cat --offset 1MiB --length 100 /my-bucket/log.txt');
};

export const registerHead: Register = (parent, environment) => {
  const command = parent
    .command('head PATH')
    .description('print the beginning of a file')
    .option('-c, --bytes <BYTES>', 'how much', sizeOption, 1024)
    .action(async (path: string, options: {bytes: number}) => {
      await withFiles(environment, command, (files, context) => copyOut(environment, files, path, {offset: 0, length: options.bytes}, context));
    });
  example(command, 'weir fs head -c 4KiB /my-bucket/log.txt');
};

export const registerTail: Register = (parent, environment) => {
  const command = parent
    .command('tail PATH')
    .description('print the end of a file')
    .option('-c, --bytes <BYTES>', 'how much', sizeOption, 1024)
    .action(async (path: string, options: {bytes: number}) => {
      await withFiles(environment, command, (files, context) => copyOut(environment, files, path, {suffix: options.bytes}, context));
    });
  example(command, 'weir fs tail -c 4KiB /my-bucket/log.txt');
};
