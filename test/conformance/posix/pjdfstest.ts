/** pjdfstest, the field's suite of POSIX system calls (the crate of that name), in a directory of a mount. As root: half of it switches users, and is skipped for others. */
import {chown, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {cargoTool} from '../../servers/tools.ts';
import type {SuiteResult} from './results.ts';
import {programFor, runIn, temporary, type Who} from './who.ts';

const suiteMsMax = 8 * 60_000;

export const pjdfstestProgram = (): Promise<string> => cargoTool('pjdfstest', '0.2.2', ['libacl1-dev']);

/** What Linux has of the optional features. Remounting read-only stays off: it is the whole mount's business, and is tested in mount.test.ts. */
const configuration = `[features]
posix_fallocate = {}
rename_ctime = {}
utime_now = {}
utimensat = {}

[settings]
naptime = 0.02
allow_remount = false

[dummy_auth]
entries = [["nobody", "nogroup"], ["daemon", "daemon"]]
`;

/** A verdict ends a line that begins with the test's name; what is said of it follows. */
const verdict = /^([a-z]\w*(?:::\w+)+)\s+(ok|FAILED|skipped)$/;
const states = {ok: 'passed', FAILED: 'failed', skipped: 'skipped'} as const;

export function resultsOf(output: string): SuiteResult[] {
  const results: SuiteResult[] = [];
  for (const line of output.replaceAll(/\u001b\[[\d;]*m/g, '').split(/[\r\n]+/)) {
    const [, name, word] = verdict.exec(line.trimEnd()) ?? [];
    const last = results.at(-1);
    if (name !== undefined) results.push({group: name.split('::')[0]!, name, state: states[word as keyof typeof states], why: ''});
    else if (last && last.state !== 'passed' && !line.startsWith('Summary:')) results[results.length - 1] = {...last, why: `${last.why} ${line.trim()}`.trim()};
  }
  return results;
}

/** `patterns`: parts of names; none: all. As another user than root it skips what takes root. */
export async function runPjdfstest(program: string, directory: string, {patterns = [], as}: {readonly patterns?: readonly string[]; readonly as?: Who | undefined} = {}): Promise<SuiteResult[]> {
  await using own = await programFor(program, as);
  await using inside = await temporary(directory, 'p-', as);
  // Another file system, for what must not be renamed or linked across; the configuration is read by the users that the suite becomes.
  await using outside = await temporary(tmpdir(), 'weir-pjdfstest-');
  if (as) await chown(outside.path, as.uid, as.gid);
  const file = path.join(outside.path, 'configuration.toml');
  await writeFile(file, configuration);
  const args = ['-c', file, '-p', inside.path, '-s', outside.path, '--', ...patterns];
  const {output} = await runIn(own.path, args, {directory: outside.path, as, msMax: suiteMsMax});
  const results = resultsOf(output);
  const total = Number(/(\d+) total/.exec(output)?.[1] ?? NaN);
  // Whatever does not reach its end is no success.
  if (results.length !== total) results.push({group: 'suite', name: 'as a whole', state: 'failed', why: `${results.length} verdicts of ${total}: ${output.slice(-500)}`});
  return results;
}
