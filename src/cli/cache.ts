/** weir load, free, pin, unpin: what is in the cache. */
import type {Command} from 'commander';
import {toText} from '#base/byte-string.ts';
import {formatSize} from '#base/units.ts';
import {example, type Register, withFiles} from '#cli/command.ts';
import {pathArgument, print} from '#cli/output.ts';
import {Progress} from '#cli/progress.ts';

export const registerLoad: Register = (parent, environment) => {
  const command: Command = parent
    .command('load PATH...')
    .description('bring files, or everything below directories, into the cache')
    .action(async (paths: string[]) => {
      await withFiles(environment, command, async (files, context, globals) => {
        for (const path of paths) {
          let loaded = 0;
          let total = 0;
          using progress = new Progress(environment.terminal, environment.runtime.clock, path);
          for await (const step of files.load(pathArgument(path), {}, context)) {
            loaded = step.loadedBytes;
            total = step.totalBytes;
            progress.set(loaded, total);
          }
          await print(environment.terminal, globals.json, {path, loadedBytes: loaded, totalBytes: total}, `${path}: ${formatSize(loaded)} in the cache\n`);
        }
      });
    });
  example(command, 'weir load /my-bucket/table');
};

export const registerFree: Register = (parent, environment) => {
  const command: Command = parent
    .command('free PATH...')
    .description('drop cached bytes; the store keeps them')
    .action(async (paths: string[]) => {
      await withFiles(environment, command, async (files, context, globals) => {
        for (const path of paths) {
          const freed = await files.free(pathArgument(path), {}, context);
          await print(environment.terminal, globals.json, {path, ...freed}, `${path}: ${freed.files} files freed\n`);
        }
      });
    });
  example(command, 'weir free /my-bucket/old-table');
};

const registerPinned =
  (name: 'pin' | 'unpin', description: string): Register =>
  (parent, environment) => {
    const command: Command = parent
      .command(`${name} PATH...`)
      .description(description)
      .action(async (paths: string[]) => {
        await withFiles(environment, command, async (files, context, globals) => {
          for (const path of paths) {
            await files.pin(pathArgument(path), name === 'pin', context);
            await print(environment.terminal, globals.json, {path: toText(pathArgument(path)), pinned: name === 'pin'}, '');
          }
        });
      });
    example(command, `weir ${name} /my-bucket/model.bin`);
  };

export const registerPin = registerPinned('pin', 'keep files in the cache whatever else comes');
export const registerUnpin = registerPinned('unpin', 'let files be evicted again');
