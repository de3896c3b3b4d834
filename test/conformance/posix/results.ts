/** What the outside suites of the mount have in common: how a test has ended, and the sections of the document. */
export interface SuiteResult {
  /** Of what the test is one: a system call, a profile, a program. */
  readonly group: string;
  readonly name: string;
  readonly state: 'passed' | 'failed' | 'skipped';
  /** Of what has not passed: what the suite said. */
  readonly why: string;
  readonly seconds?: number;
}

const sum = (results: readonly SuiteResult[], state: SuiteResult['state']): number => results.filter(result => result.state === state).length;
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ').trim().slice(0, 200);

/** One row a group, and what has not passed by name. */
export function sectionOf(title: string, results: readonly SuiteResult[]): string {
  const row = (group: string, of: readonly SuiteResult[]): string => `| ${group} | ${sum(of, 'passed')} | ${sum(of, 'failed')} | ${sum(of, 'skipped')} |`;
  const groups = [...new Set(results.map(({group}) => group))].sort();
  const reasons = Map.groupBy(results.filter(({state}) => state === 'skipped'), ({why}) => cell(why));
  return [
    `## ${title}\n`, '| | passed | failed | skipped |', '|---|---|---|---|', ...groups.map(group => row(group, results.filter(result => result.group === group))), row('**all**', results),
    ...(reasons.size > 0 ? ['\nSkipped:\n', ...[...reasons].map(([why, of]) => `- ${of.length}: ${why}`)] : []),
    ...(sum(results, 'failed') > 0 ? ['\nFailed:\n', ...results.filter(({state}) => state === 'failed').map(({group, name, why}) => `- \`${group} ${name}\`: ${cell(why)}`)] : []), '',
  ].join('\n');
}

/** `sectionOf`, for few tests that are worth a row each. */
export function rowsOf(title: string, results: readonly SuiteResult[]): string {
  const row = ({group, name, state, why}: SuiteResult): string => `| ${group} | ${name} | ${state === 'passed' ? state : `${state}: ${cell(why)}`} |`;
  return [`## ${title}\n`, '| | | |', '|---|---|---|', ...results.map(row), ''].join('\n');
}
