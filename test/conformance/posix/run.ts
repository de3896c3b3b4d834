/**
 * The mount against the outside suites of the field: pjdfstest, fsx with all profiles, programs and idioms, fio with verification, stress-ng;
 * as root over a store on the disk and over a real S3 server, without passthrough, and as an ordinary user by fusermount3. Then kill -9. Installs
 * what it needs outside the checkout, or takes it from `--tools DIR`, prints what failed, and writes docs/posix-conformance.md. Needs root and
 * /dev/fuse.
 *
 * `--seeds N` and `--operations N`: of fsx; `--seconds N`: of each stressor; `--kills N`: of the daemon, under programs and under fsx, under each
 * write type. `--only pjdfstest|fsx|applications|fio|stress|kills` and `--mode root|s3|nopassthrough|user` run a part and write nothing.
 */
import {writeFile} from 'node:fs/promises';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {debianPackage, findProgram, need} from '../../servers/tools.ts';
import {applicationNames, runApplication} from './applications.ts';
import {fioJobs, runFio} from './fio.ts';
import {fsxProgram, profileNames, runFsx} from './fsx.ts';
import {runKills} from './kills.ts';
import {ordinaryUser} from './ordinary-user.ts';
import {pjdfstestProgram, runPjdfstest} from './pjdfstest.ts';
import {startPlace, unmountable} from './places.ts';
import {rowsOf, sectionOf, type SuiteResult} from './results.ts';
import {knownStressors, runStressor, stressors} from './stress.ts';
import type {Who} from './who.ts';

const documentPath = path.resolve(import.meta.dirname, '../../../docs/posix-conformance.md');
const introduction = `# The mount and the suites of others

Written by \`npm run conformance:posix\`, each suite on a new instance: as root over a store on the disk and over an S3 server, with passthrough forced off, and as an ordinary user who mounts by fusermount3.

On ext4, pjdfstest passes 385 of its 398 tests and skips 13, of remounting read-only; on any FUSE one more, because glibc knows no bound of links there. As an ordinary user it leaves out
what takes root: other users, set-id bits that they clear, special files.

`;

const {values} = parseArgs({
  options: {
    only: {type: 'string'}, mode: {type: 'string'}, tools: {type: 'string'},
    seeds: {type: 'string', default: '3'}, operations: {type: 'string', default: '20000'}, seconds: {type: 'string', default: '3'}, kills: {type: 'string', default: '6'},
  },
});
const [seeds, operations, seconds, kills] = [Number(values.seeds), Number(values.operations), Number(values.seconds), Number(values.kills)];
const why = unmountable();
if (why !== undefined) throw new Error(`the mount ${why}`);

interface Mode {
  readonly words: string;
  readonly store: 'home' | 's3';
  readonly passthrough?: boolean;
  readonly as?: Who;
}

await using user = await ordinaryUser('the suites as an ordinary user');
const modes: Readonly<Record<string, Mode>> = {
  root: {words: 'over a store on the disk', store: 'home'},
  s3: {words: 'over an S3 server (versitygw)', store: 's3'},
  nopassthrough: {words: 'without passthrough', store: 'home', passthrough: false},
  ...(user ? {user: {words: 'as an ordinary user', store: 'home', as: {uid: user.uid, gid: user.gid}}} : {}),
};

/** What is not built from source: found, or installed by the machine's own package manager. */
const packaged = (name: string) => async (): Promise<string> => {
  const given = values.tools === undefined ? undefined : await findProgram(name, [path.resolve(values.tools)]);
  if (given !== undefined) return given;
  const found = await findProgram(name);
  if (found !== undefined) return found;
  await debianPackage(name);
  return (await findProgram(name))!;
};

type Run = (directory: string, as: Who | undefined) => Promise<SuiteResult[]>;

async function each(names: readonly string[], one: (name: string) => Promise<SuiteResult>): Promise<SuiteResult[]> {
  const all: SuiteResult[] = [];
  for (const name of names) {
    const result = await one(name);
    process.stdout.write(`${result.state} ${name} ${result.seconds?.toFixed(1) ?? ''}\n`);
    all.push(result);
  }
  return all;
}

interface Suite {
  readonly title: string;
  readonly in: readonly string[];
  readonly section: typeof sectionOf;
  /** Undefined where it cannot be had. */
  readonly prepare: () => Promise<Run | undefined>;
}

const suites: Readonly<Record<string, Suite>> = {
  pjdfstest: {
    title: 'pjdfstest 0.2.2', in: ['root', 's3', 'nopassthrough', 'user'], section: sectionOf,
    async prepare() {
      const program = await pjdfstestProgram();
      return (directory, as) => runPjdfstest(program, directory, {as});
    },
  },
  fsx: {
    title: `fsx 0.3.2, ${seeds} seeds of ${operations} operations`, in: ['root', 'nopassthrough', 'user'], section: sectionOf,
    async prepare() {
      const program = await fsxProgram();
      const plays = profileNames.flatMap(name => Array.from({length: seeds}, (_, i) => ({name, seed: i + 1})));
      return async (directory, as) => {
        const all: SuiteResult[] = [];
        for (const {name, seed} of plays) all.push(await runFsx(program, directory, name, {seed, operations, as}));
        return all;
      };
    },
  },
  applications: {
    title: 'Programs and idioms', in: ['root', 's3', 'nopassthrough', 'user'], section: rowsOf,
    prepare: () => Promise.resolve((directory, as) => each(applicationNames, name => runApplication(name, directory, {as}))),
  },
  fio: {
    title: 'fio, all that is written verified', in: ['root', 'nopassthrough', 'user'], section: rowsOf,
    async prepare() {
      const program = await need('fio', 'verified input and output on the mount', packaged('fio'));
      return program === undefined ? undefined : (directory, as) => each(fioJobs, name => runFio(program, directory, name, {as}));
    },
  },
  stress: {
    title: `stress-ng, ${seconds} s each`, in: ['root', 'nopassthrough', 'user'], section: rowsOf,
    async prepare() {
      const program = await need('stress-ng', 'stress of the mount', packaged('stress-ng'));
      if (program === undefined) return undefined;
      const known = await knownStressors(program);
      return (directory, as) => each(stressors.filter(name => known.has(name)), name => runStressor(program, directory, name, {seconds, as}));
    },
  },
};

/** It starts its own instances. */
const killing = `kill -9, ${kills} times each, under programs and under fsx`;

for (const [option, given, known] of [['only', values.only, {...suites, kills}], ['mode', values.mode, modes]] as const) {
  if (given !== undefined && !(given in known)) throw new Error(`--${option} takes ${Object.keys(known).join(', ')}`);
}

const sections: string[] = [];
let failures = 0;

function told(results: readonly SuiteResult[], section: string): void {
  for (const {group, name, state, why} of results) if (state !== 'passed') process.stdout.write(`${state.toUpperCase()} ${group} ${name}: ${why}\n`);
  failures += results.filter(({state}) => state === 'failed').length;
  sections.push(section);
  process.stdout.write(`\n${section}\n`);
}

for (const [name, suite] of Object.entries(suites)) {
  if (values.only !== undefined && values.only !== name) continue;
  const run = await suite.prepare();
  for (const modeName of run ? suite.in : []) {
    const mode = modes[modeName];
    if (!mode || (values.mode !== undefined && values.mode !== modeName)) continue;
    await using place = await startPlace(mode.store, mode);
    if (!place) {
      failures++;
      continue;
    }
    const results = await run!(place.directory, mode.as);
    told(results, suite.section(`${suite.title} ${mode.words}`, results));
  }
}
if ((values.only ?? 'kills') === 'kills' && (values.mode ?? 'root') === 'root') {
  const results = await runKills(kills);
  told(results, rowsOf(killing, results));
}
if (values.only === undefined && values.mode === undefined) await writeFile(documentPath, `${introduction}${sections.map(section => section.trimEnd()).join('\n\n')}\n`);
process.exitCode = failures > 0 ? 1 : 0;
