/** weir job, worker, metrics, backup, restore, demo: what operators use. */
import type {Command} from 'commander';
import {toText} from '#base/byte-string.ts';
import {formatDuration, formatSize} from '#base/units.ts';
import {countOption, example, globals, type Register, withFiles} from '#cli/command.ts';
import type {CliEnvironment} from '#cli/environment.ts';
import {json, print, table} from '#cli/output.ts';
import {Progress} from '#cli/progress.ts';

const readBytes = 1024 * 1024;

export const registerJob: Register = (parent, environment) => {
  const group = parent.command('job').description('work that goes on behind');
  const ls: Command = group
    .command('ls')
    .description('moves and removals that a store is still following')
    .action(async () => {
      await withFiles(environment, ls, async (files, context, options) => {
        const jobs = await files.listJobs(context);
        const now = environment.runtime.clock.nowMs();
        const rows = jobs.map((job) => [String(job.id), job.kind, job.state, String(job.done), formatDuration(now - job.startedAt), toText(job.path), job.lastError ?? '']);
        await print(environment.terminal, options.json, jobs.map((job) => ({...job, path: toText(job.path)})), table(['ID', 'KIND', 'STATE', 'DONE', 'FOR', 'PATH', 'ERROR'], rows, [0, 3]));
      });
    });
  example(ls, 'weir job ls');
  for (const [name, description] of [['stat', 'one job'], ['cancel', 'stop it where it stands: then Weir shows what the store has by now']] as const) {
    const command: Command = group
      .command(`${name} ID`)
      .description(description)
      .action(async (id: string) => {
        await withFiles(environment, command, async (files, context) => {
          if (name === 'cancel') return files.cancelJob(Number(id), context);
          const job = (await files.listJobs(context)).find((candidate) => candidate.id === Number(id));
          await environment.terminal.out(json(job ? {...job, path: toText(job.path)} : {id: Number(id), state: 'done or unknown'}));
        });
      });
    example(command, `weir job ${name} 12`);
  }
};

export const registerWorker: Register = (parent, environment) => {
  const group = parent.command('worker').description('who keeps cached bytes');
  const ls: Command = group
    .command('ls')
    .description('workers and their tiers')
    .action(async () => {
      await withFiles(environment, ls, async (files, context, options) => {
        const status = await files.status(context);
        const rows = status.tiers.map((tier) => ['local', tier.name, formatSize(tier.usedBytes), formatSize(tier.quotaBytes), tier.state, tier.directory]);
        await print(environment.terminal, options.json, [{name: 'local', ...status}], table(['WORKER', 'TIER', 'USED', 'QUOTA', 'STATE', 'DIRECTORY'], rows, [2, 3]));
      });
    });
  example(ls, 'weir worker ls');
};

export const registerMetrics: Register = (parent, environment) => {
  const command: Command = parent
    .command('metrics')
    .description('all metrics, as Prometheus reads them')
    .action(async () => {
      await environment.terminal.out(await environment.metrics(globals(command).home));
    });
  example(command, 'weir metrics | grep upstream');
};

function localPath(environment: CliEnvironment, file: string): string {
  return file.startsWith('/') ? file : `${environment.workingDirectory}/${file}`;
}

export const registerBackup: Register = (parent, environment) => {
  const command: Command = parent
    .command('backup FILE')
    .description('write all metadata, as of one moment, to a file; the instance goes on')
    .action(async (file: string) => {
      await withFiles(environment, command, async (files, context, options) => {
        const {disk, clock, random} = environment.runtime;
        const target = localPath(environment, file);
        const temporary = `${target}.${random.id().slice(0, 8)}.part`;
        let bytes = 0;
        try {
          await using out = await disk.open(temporary, {mode: 'exclusive', permissions: 0o600});
          using progress = new Progress(environment.terminal, clock, 'backup');
          for await (const chunk of files.backup(context)) {
            await out.write([chunk], bytes);
            bytes += chunk.length;
            progress.set(bytes, undefined);
          }
          await out.datasync();
        } catch (error) {
          await disk.unlink(temporary).catch(() => undefined);
          throw error;
        }
        await disk.rename(temporary, target);
        await print(environment.terminal, options.json, {file: target, bytes}, `${target}: ${formatSize(bytes)}\n`);
      });
    });
  example(command, 'weir backup weir-2026-11-21.backup');
};

export const registerRestore: Register = (parent, environment) => {
  const command: Command = parent
    .command('restore FILE')
    .description('make the metadata of a stopped instance from a backup')
    .option('-f, --force', 'replace the metadata that is there')
    .action(async (file: string, flags: {force?: boolean}) => {
      const options = globals(command);
      await using source = await environment.runtime.disk.open(localPath(environment, file), {mode: 'read'});
      const chunks = async function* () {
        for (let at = 0; ; ) {
          const chunk = Buffer.allocUnsafe(readBytes);
          const count = await source.read(chunk, at);
          if (count === 0) return;
          yield chunk.subarray(0, count);
          at += count;
        }
      };
      const restored = await environment.instance(options.home).restore(chunks(), {force: flags.force === true});
      await print(environment.terminal, options.json, restored, `${restored.entries} entries restored\n`);
      if (restored.replaced !== undefined) {
        environment.terminal.err(`weir: the metadata that was replaced is kept in ${restored.replaced} until the next restore; remove it when you do not want it back\n`);
      }
    });
  example(command, 'weir restore weir-2026-11-21.backup --home /var/lib/weir');
};

export const registerDemo: Register = (parent, environment) => {
  const command: Command = parent
    .command('demo')
    .description('see it work: a pretend-remote store behind a slow link, read without and with Weir')
    .option('--megabytes <N>', 'how much data', countOption, 256)
    .action(async (options: {megabytes: number}) => {
      await environment.instance(globals(command).home).demo(options);
    });
  example(command, 'weir demo');
};
