/** Programs: a process for each call, nothing of this machine's settings in its environment. */
import {execFile} from 'node:child_process';
import {promisify} from 'node:util';

const run = promisify(execFile);
const callMsMax = 120_000;

/** What it printed. Throws what it said of its failure. */
export type Run = (...args: readonly string[]) => Promise<string>;

export function commandLine(program: string, env: Readonly<Record<string, string | undefined>>): Run {
  return async (...args) => (await run(program, [...args], {env: {...process.env, ...env}, timeout: callMsMax, maxBuffer: 64 << 20})).stdout;
}
