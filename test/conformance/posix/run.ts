/**
 * The mount against the outside suites of the field: pjdfstest over a store on the disk and over a real S3 server, fsx with all profiles,
 * programs and idioms. Installs what it needs outside the checkout, prints what failed, and writes docs/posix-conformance.md. Needs root
 * and /dev/fuse. `--seeds N` and `--operations N`: of fsx. `--only pjdfstest|fsx|applications` runs a part and writes nothing.
 */
import {writeFile} from 'node:fs/promises';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {applicationNames, runApplication} from './applications.ts';
import {fsxProgram, profileNames, runFsx} from './fsx.ts';
import {pjdfstestProgram, runPjdfstest} from './pjdfstest.ts';
import {startPlace, unmountable} from './places.ts';
import {rowsOf, sectionOf, type SuiteResult} from './results.ts';

const documentPath = path.resolve(import.meta.dirname, '../../../docs/posix-conformance.md');
const introduction = `# The mount and the suites of others

Written by \`npm run conformance:posix\`, which runs them as root, each on a new instance.

On ext4, pjdfstest passes 385 of its 398 tests and skips 13, of remounting read-only; on any FUSE one more, because glibc knows no bound of links there.

`;

const {values} = parseArgs({options: {only: {type: 'string'}, seeds: {type: 'string', default: '3'}, operations: {type: 'string', default: '20000'}}});
const [seeds, operations] = [Number(values.seeds), Number(values.operations)];
const parts = ['pjdfstest', 'fsx', 'applications'];
if (values.only !== undefined && !parts.includes(values.only)) throw new Error(`--only takes ${parts.join(', ')}`);
const why = unmountable();
if (why !== undefined) throw new Error(`the mount ${why}`);

const stores = [['home', 'a store on the disk'], ['s3', 'an S3 server (versitygw)']] as const;
const sections: string[] = [];
let failures = 0;

function told(results: readonly SuiteResult[], section: string): void {
  for (const {group, name, state, why} of results) if (state !== 'passed') process.stdout.write(`${state.toUpperCase()} ${group} ${name}: ${why}\n`);
  failures += results.filter(({state}) => state === 'failed').length;
  sections.push(section);
  process.stdout.write(`\n${section}\n`);
}

async function onMount(store: 'home' | 's3', use: (directory: string) => Promise<SuiteResult[]>): Promise<SuiteResult[] | undefined> {
  await using place = await startPlace(store);
  return place && (await use(place.directory));
}

for (const [store, words] of stores) {
  if (values.only !== undefined && values.only !== 'pjdfstest') break;
  const program = await pjdfstestProgram();
  const results = await onMount(store, directory => runPjdfstest(program, directory));
  if (results) told(results, sectionOf(`pjdfstest 0.2.2 over ${words}`, results));
  else failures++;
}
if (values.only === undefined || values.only === 'fsx') {
  const program = await fsxProgram();
  const results = (await onMount('home', async (directory) => {
    const all: SuiteResult[] = [];
    for (const name of profileNames) for (let seed = 1; seed <= seeds; seed++) all.push(await runFsx(program, directory, name, {seed, operations}));
    return all;
  }))!;
  told(results, sectionOf(`fsx 0.3.2, ${seeds} seeds of ${operations} operations`, results));
}
for (const [store, words] of stores) {
  if (values.only !== undefined && values.only !== 'applications') break;
  const results = await onMount(store, async (directory) => {
    const all: SuiteResult[] = [];
    for (const name of applicationNames) {
      const result = await runApplication(name, directory);
      process.stdout.write(`${result.state} ${name} ${result.seconds?.toFixed(1) ?? ''}\n`);
      all.push(result);
    }
    return all;
  });
  if (results) told(results, rowsOf(`Programs and idioms over ${words}`, results));
  else failures++;
}
if (values.only === undefined) await writeFile(documentPath, `${introduction}${sections.map(section => section.trimEnd()).join('\n\n')}\n`);
process.exitCode = failures > 0 ? 1 : 0;
