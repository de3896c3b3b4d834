/** The command line: all commands, how they fail, and with which status. 0 done, 1 failed, 2 wrong use. */
import {Command, CommanderError} from 'commander';
import {isKind} from '#base/errors.ts';
import {registerBackup, registerDemo, registerJob, registerMetrics, registerRestore, registerWorker} from '#cli/administration.ts';
import {registerFree, registerLoad, registerPin, registerUnpin} from '#cli/cache.ts';
import type {Register} from '#cli/command.ts';
import {registerCompletion} from '#cli/completion.ts';
import type {CliEnvironment} from '#cli/environment.ts';
import {registerExplain} from '#cli/explain.ts';
import {registerChecksum, registerChmod, registerChown, registerCp, registerMkdir, registerMv, registerRm, registerTouch} from '#cli/fs/change.ts';
import {registerGet} from '#cli/fs/get.ts';
import {registerLs} from '#cli/fs/ls.ts';
import {registerPut} from '#cli/fs/put.ts';
import {registerCat, registerHead, registerTail} from '#cli/fs/read.ts';
import {registerStat} from '#cli/fs/stat.ts';
import {registerQuota} from '#cli/fs/quota.ts';
import {registerDf, registerDu, registerFind, registerTree} from '#cli/fs/survey.ts';
import {registerGroup, registerKey, registerPolicy, registerUser} from '#cli/identity.ts';
import {registerDown, registerEnv, registerFuse, registerStatus, registerUp} from '#cli/instance.ts';
import {registerInventory} from '#cli/inventory.ts';
import {registerMount} from '#cli/mount.ts';
import {registerPersist, registerWriteType} from '#cli/persist.ts';
import {showError} from '#cli/output.ts';
import {registerWebhook} from '#cli/webhook.ts';

const top: readonly Register[] = [
  registerUp,
  registerFuse,
  registerDown,
  registerStatus,
  registerEnv,
  registerMount,
  registerUser,
  registerKey,
  registerGroup,
  registerPolicy,
  registerWebhook,
  registerInventory,
  registerLoad,
  registerFree,
  registerPin,
  registerUnpin,
  registerPersist,
  registerWriteType,
  registerExplain,
  registerJob,
  registerWorker,
  registerMetrics,
  registerBackup,
  registerRestore,
  registerDemo,
  registerCompletion,
];
const files: readonly Register[] = [
  registerLs,
  registerStat,
  registerCat,
  registerHead,
  registerTail,
  registerPut,
  registerGet,
  registerCp,
  registerMv,
  registerRm,
  registerMkdir,
  registerTouch,
  registerChmod,
  registerChown,
  registerChecksum,
  registerDu,
  registerDf,
  registerQuota,
  registerFind,
  registerTree,
];

export function createProgram(environment: CliEnvironment): Command {
  const program = new Command('weir')
    .description('one namespace over any storage, cached beside the compute')
    .version(environment.version)
    .option('--home <DIR>', 'state, keys, cache, logs of the instance ($WEIR_HOME, default ~/.weir)')
    .option('--json', 'one JSON value a line instead of text')
    .showHelpAfterError(false)
    .configureHelp({showGlobalOptions: true})
    .enablePositionalOptions(false);
  for (const register of top) register(program, environment);
  const fs = program.command('fs').description('files and directories');
  for (const register of files) register(fs, environment);
  acceptGlobals(program, program);
  return program;
}

/** `--home` and `--json` may stand anywhere, as people type them; messages are ours. */
function acceptGlobals(command: Command, program: Command): void {
  command.exitOverride();
  for (const child of command.commands) {
    for (const option of program.options) if (option.long === '--home' || option.long === '--json') child.addOption(option);
    acceptGlobals(child, program);
  }
}

/** Runs one command line (without `node` and the script). Resolves to the exit status. */
export async function runProgram(environment: CliEnvironment, args: readonly string[]): Promise<number> {
  const program = createProgram(environment);
  const write = (text: string) => environment.terminal.err(text.replace(/^error: /, 'weir: '));
  const configure = (command: Command): void => {
    command.configureOutput({writeOut: (text) => void environment.terminal.out(text), writeErr: write});
    command.commands.forEach(configure);
  };
  configure(program);
  try {
    await program.parseAsync([...args], {from: 'user'});
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode !== 0 && error.code !== 'commander.help') environment.terminal.err(`run weir ${args.find((arg) => !arg.startsWith('-')) ?? ''} --help for what can be said\n`);
      return error.exitCode === 0 ? 0 : 2;
    }
    environment.terminal.err(showError(error));
    return isKind(error, 'InvalidArgument') ? 2 : 1;
  }
}
