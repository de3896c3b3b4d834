/**
 * Programs that people run on file systems, and idioms that they are made of, in a directory of a mount. Each is a script of `sh` or
 * Python that ends with 0 when everything was as on a disk; what is not installed is skipped, and said.
 */
import {tmpdir} from 'node:os';
import {findProgram} from '../../servers/tools.ts';
import {pythonScripts} from './python-scripts.ts';
import type {SuiteResult} from './results.ts';
import {shellScripts} from './shell-scripts.ts';
import {runIn, temporary, type Who} from './who.ts';

const msMaxDefault = 180_000;
const stopMsMax = 30_000;

export interface Script {
  /** What must be in PATH. */
  readonly needs: readonly string[];
  readonly text: string;
  /** It becomes other users. */
  readonly needsRoot?: boolean;
  /** What it has started outlives it when it fails; its script `stop` ends that. */
  readonly leavesRunning?: boolean;
}

export const applicationNames: readonly string[] = [...Object.keys(shellScripts), ...Object.keys(pythonScripts)];

export interface ApplicationOptions {
  readonly as?: Who | undefined;
  /** How long it may take. */
  readonly msMax?: number;
}

export async function runApplication(name: string, directory: string, {as, msMax = msMaxDefault}: ApplicationOptions = {}): Promise<SuiteResult> {
  const [group, script] = name in shellScripts ? ['program', shellScripts[name]!] : ['idiom', pythonScripts[name]!];
  if (as && script.needsRoot) return {group, name, state: 'skipped', why: 'becomes other users, which only root can'};
  const needs = group === 'idiom' ? ['python3', ...script.needs] : script.needs;
  for (const program of needs) if ((await findProgram(program)) === undefined) return {group, name, state: 'skipped', why: `LEFT OUT: there is no ${program} on this machine`};
  await using place = await temporary(directory, 'application-', as);
  // A home outside the mount: what is tested is where the work is done.
  await using home = await temporary(tmpdir(), 'weir-application-', as);
  const started = performance.now();
  const [program, args]: [string, string[]] = group === 'idiom' ? ['python3', ['-c', script.text]] : ['bash', ['-euo', 'pipefail', '-c', script.text]];
  const env = {...process.env, HOME: home.path, GIT_CONFIG_NOSYSTEM: '1', LC_ALL: 'C.UTF-8', PYTHONDONTWRITEBYTECODE: '1'};
  const {status, output} = await runIn(program, args, {directory: place.path, as, env, msMax});
  if (script.leavesRunning) await runIn('sh', ['-c', '! test -e stop || sh stop'], {directory: place.path, as, env, msMax: stopMsMax});
  const why = status === 0 ? '' : `${output.trim().split('\n').slice(-5).join(' ')} (ended with ${status ?? 'a signal'})`;
  return {group, name, state: status === 0 ? 'passed' : 'failed', why, seconds: (performance.now() - started) / 1000};
}
