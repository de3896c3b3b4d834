/**
 * The S3 front end against the outside suites of the field: ceph's s3-tests (a checkout of the public repository, `--suite DIR` or
 * $S3TESTS_SUITE) and versitygw's client suite (installed by Go). Installs what it needs outside the checkout, starts Weir, prints what
 * failed, and writes the tables of the suites that it ran to docs/s3-conformance.md: both, or `--only ceph|versitygw`. With `--feature
 * NAME` (repeatable) it runs a part and writes nothing.
 */
import {existsSync} from 'node:fs';
import {readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {versitygwProgram} from '../../servers/s3-servers.ts';
import {ceph, cephExceptions} from './ceph.ts';
import {sectionOf, type SuiteResult} from './results.ts';
import {runVersitygwSuite, versitygwExceptions} from './versitygw.ts';

const documentPath = path.resolve(import.meta.dirname, '../../../docs/s3-conformance.md');
const introduction = `# The S3 front end and the suites of others

Written by \`npm run conformance:s3 -- --suite DIR\`, which runs ceph's s3-tests (those that are true of AWS) and versitygw's client suite against new instances.

`;

const {values} = parseArgs({options: {suite: {type: 'string'}, only: {type: 'string'}, feature: {type: 'string', multiple: true, default: []}}});
const suite = values.suite ?? process.env['S3TESTS_SUITE'];
const {only, feature: features} = values;

interface Suite {
  readonly title: string;
  readonly exceptions: string;
  readonly run: () => Promise<readonly SuiteResult[]>;
}

async function versitygw(): Promise<readonly SuiteResult[]> {
  const results = await runVersitygwSuite(await versitygwProgram());
  return features.length === 0 ? results : results.filter(({feature}) => features.includes(feature));
}

const suites: Readonly<Record<string, Suite>> = {
  ceph: {title: 'ceph s3-tests (those that are true of AWS)', exceptions: cephExceptions, run: () => ceph(path.resolve(suite!), features)},
  versitygw: {title: "versitygw's client suite, full flow", exceptions: versitygwExceptions, run: versitygw},
};
if (only !== undefined && !Object.hasOwn(suites, only)) throw new Error('--only ceph or --only versitygw');
if (only !== 'versitygw' && (suite === undefined || !existsSync(path.join(suite, 's3tests/functional/test_s3.py')))) {
  throw new Error('name a checkout of ceph/s3-tests by --suite DIR or $S3TESTS_SUITE, or run --only versitygw');
}

let failures = 0;
const written = await readFile(documentPath, 'utf8').catch(() => '');
/** Of a suite that is not run, what was written of it before. */
const sections = Object.values(suites).map(({title}) => new RegExp(`^## ${title.replaceAll(/[()]/g, '\\$&')}\n[^]*?(?=^## |(?![^]))`, 'm').exec(written)?.[0] ?? '');
for (const [i, [name, {title, exceptions, run}]] of Object.entries(suites).entries()) {
  if (only !== undefined && only !== name) continue;
  const results = await run();
  const failed = results.filter(({state}) => state === 'failed');
  for (const {feature, name: test, why} of failed) process.stdout.write(`FAILED ${feature} ${test}: ${why.trim().slice(0, 300)}\n`);
  failures += failed.length;
  sections[i] = sectionOf(title, exceptions, results);
  process.stdout.write(`\n${sections[i]}`);
}
if (features.length === 0) await writeFile(documentPath, `${introduction}${sections.filter(section => section !== '').map(section => section.trimEnd()).join('\n\n')}\n`);
process.exitCode = failures > 0 ? 1 : 0;
