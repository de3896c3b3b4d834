/** What the runners of outside suites share: lists beside them, and the table of what came out. */
import {readFile} from 'node:fs/promises';
import path from 'node:path';

const here = import.meta.dirname;

export interface SuiteResult {
  readonly feature: string;
  readonly name: string;
  /** `outside`: the test drives its own server's program or protocol, not S3. `declared`: believed wrong about S3, with the documentation in the suite's list of exceptions. */
  readonly state: 'passed' | 'failed' | 'outside' | 'declared';
  readonly why: string;
}

/** Rows of a file beside this one. */
async function rowsOf(file: string): Promise<string[][]> {
  return (await readFile(path.join(here, file), 'utf8')).split('\n').filter(line => line !== '').map(line => line.split('\t'));
}

/** All tests, or those of some features. */
export async function testsOf(file: string, features: readonly string[]): Promise<{readonly feature: string; readonly name: string}[]> {
  const rows = (await rowsOf(file)).map(([feature = '', name = '']) => ({feature, name}));
  return features.length === 0 ? rows : rows.filter(({feature}) => features.includes(feature));
}

/** Why a test is believed wrong, by its name. */
export async function exceptionsOf(file: string): Promise<ReadonlyMap<string, string>> {
  return new Map((await rowsOf(file)).map(([name = '', reason = '', documentation = '']) => [name, `${reason} ([AWS](${documentation}))`]));
}

/** What a test that is believed wrong says when it fails for just that reason, by its name. */
export async function wordsOf(file: string): Promise<ReadonlyMap<string, string>> {
  return new Map((await rowsOf(file)).map(([name = '', , , words = '']) => [name, words]));
}

/** A section of the document. `exceptions`: the file that says why tests are believed wrong. */
export function sectionOf(title: string, exceptions: string, results: readonly SuiteResult[]): string {
  const counted = results.filter(({state}) => state !== 'outside');
  const of = (state: SuiteResult['state']) => counted.filter(result => result.state === state);
  const row = (feature: string, rows: readonly SuiteResult[]) => `| ${feature} | ${rows.filter(({state}) => state === 'passed').length} | ${rows.length} |`;
  const features = [...new Set(counted.map(({feature}) => feature))].sort();
  const outside = results.length - counted.length;
  const declared = of('declared');
  const share = `${((declared.length / counted.length) * 100).toFixed(1)} %`;
  return [
    `## ${title}\n`, '| feature | passed | of |', '|---|---|---|', ...features.map(feature => row(feature, counted.filter(result => result.feature === feature))), row('**all**', counted),
    ...(outside > 0 ? [`\n${outside} more drive the program of their own server and cannot pass anywhere else.`] : []),
    ...(declared.length > 0 ? [`\nBelieved wrong about S3 (\`test/conformance/s3/${exceptions}\`), ${share}:\n`, ...declared.map(({name, why}) => `- \`${name}\`: ${why}`)] : []),
    ...(of('failed').length > 0 ? ['\nNot passed:\n', ...of('failed').map(({name}) => `- \`${name}\``)] : []), '',
  ].join('\n');
}
