/** weir persist, weir write-type: what stores are still to get, and whether writes wait for them. */
import type {Command} from 'commander';
import type {InodeId} from '#base/ids.ts';
import {WeirError} from '#base/errors.ts';
import {formatDuration, formatSize} from '#base/units.ts';
import {example, type Register, withFiles} from '#cli/command.ts';
import type {CliEnvironment} from '#cli/environment.ts';
import {writeTypeHelp} from '#cli/mount.ts';
import {pathArgument, print, showName, table} from '#cli/output.ts';
import {Progress} from '#cli/progress.ts';
import type {FileSystem} from '#client/file-system.ts';
import {persistJson} from '#codec/rest/values.ts';
import type {PersistInfo} from '#contracts/administration.ts';
import type {CallContext} from '#contracts/context.ts';
import {parseWriteType, writeTypeSetting} from '#model/mount.ts';

const lookMs = 200;
const pageEntries = 1_000;

/** For people: state, since when, attempts, the last error. */
export function persistRows({state, since, failures, lastError, nextAttemptAt}: PersistInfo, nowMs: number): [string, string][] {
  const next = nextAttemptAt === undefined ? '' : `, next attempt in ${formatDuration(Math.max(0, nextAttemptAt - nowMs))}`;
  const told = `${state} for ${formatDuration(Math.max(0, nowMs - since))}: the store has not got it yet${failures > 0 ? `; ${failures} attempts failed${next}` : ''}`;
  return [['persist', told], ...(lastError === undefined ? [] : [['persist', lastError] satisfies [string, string]])];
}

async function pendingBelow(files: FileSystem, path: string, context: CallContext): Promise<PersistInfo[]> {
  const found: PersistInfo[] = [];
  for (let after: InodeId | undefined; ; ) {
    const page = await files.listPending({path: pathArgument(path), limit: pageEntries, ...(after === undefined ? {} : {after})}, context);
    found.push(...page.entries);
    if (page.next === undefined) return found;
    after = page.next;
  }
}

interface PersistFlags {
  readonly wait?: boolean;
  readonly overwrite?: boolean;
  readonly discard?: boolean;
}

/** Until the stores have all of it, or what is left waits for a person. Errors are told as they come. */
async function waitFor(environment: CliEnvironment, files: FileSystem, path: string, context: CallContext): Promise<PersistInfo[]> {
  const {terminal, runtime: {clock}} = environment;
  using progress = new Progress(terminal, clock, `persist ${path}`);
  const told = new Map<InodeId, string>();
  let total = 0;
  for (;;) {
    const left = await pendingBelow(files, path, context);
    const bytes = left.reduce((sum, {length, uploadedBytes}) => sum + length - uploadedBytes, 0);
    total = Math.max(total, bytes);
    progress.set(total - bytes, total);
    for (const {path: file, inode, lastError, state} of left) {
      if (lastError === undefined || told.get(inode) === lastError) continue;
      told.set(inode, lastError);
      terminal.err(`weir: ${showName(file)} (${state}): ${lastError}\n`);
    }
    if (left.every(({state}) => state === 'conflict')) return left;
    await clock.sleep(lookMs, {signal: context.signal});
  }
}

export const registerPersist: Register = (parent, environment) => {
  const command: Command = parent
    .command('persist [PATH...]')
    .description('files that their store has not got yet (written as ASYNC_THROUGH): try them at once, and list what is left')
    .option('--wait', 'until the store has them; fails when one is in conflict')
    .option('--overwrite', 'of files that were changed in their store meanwhile: ours goes over it')
    .option('--discard', 'of files that were changed in their store meanwhile: ours is dropped, for good')
    .action(async (paths: string[], flags: PersistFlags) => {
      if (flags.overwrite && flags.discard) throw new WeirError('InvalidArgument', '--overwrite and --discard exclude each other');
      const decision = flags.overwrite ? 'overwrite' : flags.discard ? 'discard' : undefined;
      if (decision !== undefined && paths.length === 0) throw new WeirError('InvalidArgument', `--${decision} needs a path; / is everything`);
      await withFiles(environment, command, async (files, context, globals) => {
        const left: PersistInfo[] = [];
        for (const path of paths.length > 0 ? paths : ['/']) {
          if (paths.length > 0) await files.persist(pathArgument(path), decision ? {resolve: decision} : {}, context);
          left.push(...(flags.wait ? await waitFor(environment, files, path, context) : await pendingBelow(files, path, context)));
        }
        const now = environment.runtime.clock.nowMs();
        const rows = left.map((file) => [file.state, formatSize(file.length), formatDuration(Math.max(0, now - file.since)), String(file.failures), showName(file.path), file.lastError ?? '']);
        await print(environment.terminal, globals.json, left.map(persistJson), rows.length === 0 ? '' : table(['STATE', 'SIZE', 'FOR', 'FAILED', 'PATH', 'ERROR'], rows, [1, 3]));
        if (flags.wait && left.length > 0) throw new WeirError('Conflict', `${left.length} files were changed in their store meanwhile; --overwrite or --discard decides`);
      });
    });
  example(command, 'weir persist', 'weir persist /my-bucket/table --wait', 'weir persist /my-bucket/report.csv --overwrite');
};

export const registerWriteType: Register = (parent, environment) => {
  const command: Command = parent
    .command('write-type PATH [TYPE]')
    .description(`how what lies below a directory is written, whatever its mount says; "default" takes that back. ${writeTypeHelp}`)
    .action(async (path: string, type: string | undefined) => {
      await withFiles(environment, command, async (files, context, globals) => {
        const directory = pathArgument(path.endsWith('/') ? path : `${path}/`);
        if (type !== undefined) await files.setSetting(directory, writeTypeSetting, type === 'default' ? null : parseWriteType(type), context);
        const {settings} = await files.getSettings(directory, context);
        const set = settings[writeTypeSetting];
        await print(environment.terminal, globals.json, {path, writeType: set ?? null}, `${set ?? 'default'}\n`);
      });
    });
  example(command, 'weir write-type /my-bucket/scratch ASYNC_THROUGH');
};
