/**
 * Checks the import rules of .dependency-cruiser.mjs over src/, and guards the guard: the toy tree of planted breaches must
 * give exactly the reports written below, so that a checker which silently sees nothing cannot pass.
 */
import {execFileSync, spawnSync} from 'node:child_process';
import path from 'node:path';
import {pathToFileURL} from 'node:url';

interface Violation {
  readonly from: string;
  readonly to: string;
  readonly rule: {readonly name: string};
}

/** `rule: importing file` for every breach that must be found in test/fixtures/breaches. */
const planted = `
connectors-are-listed-in-process: src/client/lists.ts
connectors-load-lazily: src/process/eager.ts
connectors-are-listed-in-process: src/process/eager.ts
front-ends-use-the-client: src/frontends/one/bypass.ts
islands: src/codec/two/island.ts
islands: src/connectors/two/island.ts
islands: src/frontends/two/island.ts
koffi-only-in-runtime-native: src/runtime/node/ok.ts
lmdb-only-in-metastore-lmdb: src/metastore/lmdb.ts
looks-up:base: src/base/looks-up.ts
looks-up:codec: src/codec/one/looks-up.ts
looks-up:connectors: src/connectors/one/looks-up.ts
looks-up:contracts: src/contracts/looks-up.ts
looks-up:frontends+cli: src/frontends/one/looks-up.ts
looks-up:journal: src/journal/looks-up.ts
looks-up:master+worker+client: src/worker/looks-up.ts
looks-up:metastore+blockstore+rpc+understore: src/metastore/looks-up.ts
looks-up:model: src/model/looks-up.ts
looks-up:runtime: src/runtime/looks-up.ts
neighbours: src/blockstore/neighbour.ts
no-cycles: src/worker/cycle-a.ts
outside-world-only-in-runtime: src/blockstore/clock.ts
pino-and-prometheus-only-in-runtime: src/master/logger.ts
product-never-imports-tests: src/worker/tested.ts
real-machine-is-chosen-in-process: src/master/real.ts
resolvable: src/worker/lost.ts
sdks-only-in-their-connector: src/master/sdk.ts
services-meet-through-contracts: src/worker/meets.ts
simulation-is-for-tests: src/worker/simulated.ts
`.trim().split('\n').sort();

const root = path.resolve(import.meta.dirname, '..');
const ruleFile = (await import(pathToFileURL(path.join(root, '.dependency-cruiser.mjs')).href)) as {default: {forbidden: {name: string; comment: string}[]}};
const rules = ruleFile.default;

function cruise(directory: string): {modules: number; violations: Violation[]} {
  const cli = path.join(root, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs');
  const run = spawnSync(process.execPath, [cli, 'src', '--config', path.join(root, '.dependency-cruiser.mjs'), '--output-type', 'json'], {cwd: directory, encoding: 'utf8', maxBuffer: 256 << 20});
  if (run.stdout === '') throw new Error(`the import checker did not run: ${run.stderr}`);
  const result = JSON.parse(run.stdout) as {summary: {violations: Violation[]; totalCruised: number}};
  return {modules: result.summary.totalCruised, violations: result.summary.violations};
}

const problems: string[] = [];

const toy = cruise(path.join(root, 'test/fixtures/breaches'));
const found = [...new Set(toy.violations.map((v) => `${v.rule.name}: ${v.from}`))].sort();
for (const line of planted) if (!found.includes(line)) problems.push(`a planted breach was not noticed: ${line}`);
for (const line of found) if (!planted.includes(line)) problems.push(`the toy tree breaks a rule that it should not: ${line}`);
for (const rule of rules.forbidden) if (!planted.some((line) => line.startsWith(`${rule.name}: `))) problems.push(`no breach is planted for the rule ${rule.name}`);

const house = cruise(root);
const sources = execFileSync('git', ['ls-files', '-co', '--exclude-standard', 'src/*.ts'], {cwd: root, encoding: 'utf8'}).trim().split('\n').length;
if (house.modules < sources) problems.push(`only ${house.modules} of ${sources} source files were read`);
const comments = new Map(rules.forbidden.map((rule) => [rule.name, rule.comment]));
for (const v of house.violations) problems.push(`${v.from} must not import ${v.to} (${v.rule.name}: ${comments.get(v.rule.name)})`);

for (const problem of problems) console.error(`floors: ${problem}`);
console.log(`floors: ${house.modules} modules, ${planted.length} planted breaches, ${problems.length} problems`);
process.exitCode = problems.length > 0 ? 1 : 0;
