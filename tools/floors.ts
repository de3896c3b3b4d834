/**
 * Checks the import rules of tools/floor-rules.ts over src/, and that there are no cycles and no imports of what is not there. Guards
 * the guard: the toy tree of planted breaches must give exactly the reports written below, so that a checker which silently sees
 * nothing cannot pass.
 */
import {existsSync, globSync, readFileSync} from 'node:fs';
import {isBuiltin} from 'node:module';
import path from 'node:path';
import {parseSync} from 'oxc-parser';
import {floorRules} from './floor-rules.ts';

interface Import {
  readonly from: string;
  /** `src/…` for files, `node:…`, `npm:…`, `missing:…`. */
  readonly to: string;
  readonly lazy: boolean;
}

/** `rule: importing file` for every breach that must be found in test/fixtures/breaches. */
const planted = `
connectors-are-listed-in-process: src/client/lists.ts
connectors-are-listed-in-process: src/process/eager.ts
connectors-load-lazily: src/process/eager.ts
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
missing: src/worker/lost.ts
neighbours: src/blockstore/neighbour.ts
no-cycles: src/worker/cycle-a.ts
outside-world-only-in-runtime: src/blockstore/clock.ts
pino-and-prometheus-only-in-runtime: src/master/logger.ts
product-never-imports-tests: src/worker/tested.ts
real-machine-is-chosen-in-process: src/master/real.ts
sdks-only-in-their-connector: src/master/sdk.ts
services-meet-through-contracts: src/worker/meets.ts
simulation-is-for-tests: src/worker/simulated.ts
`.trim().split('\n');

const root = path.resolve(import.meta.dirname, '..');

/** Every import, export-from and import() of a file, type-only ones too. */
function importsOf(base: string, file: string): Import[] {
  const source = readFileSync(path.join(base, file), 'utf8');
  const {module: found, errors} = parseSync(file, source);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]!.message}`);
  const resolve = (specifier: string): string => {
    if (specifier.startsWith('#')) {
      const target = `src/${specifier.slice(1)}`;
      return existsSync(path.join(base, target)) ? target : `missing:${specifier}`;
    }
    if (specifier.startsWith('.')) return path.relative(base, path.resolve(base, path.dirname(file), specifier));
    if (isBuiltin(specifier)) return specifier.startsWith('node:') ? specifier : `node:${specifier}`;
    return `npm:${specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/')}`;
  };
  const eager = [
    ...found.staticImports.map((statement) => statement.moduleRequest.value),
    ...found.staticExports.flatMap((statement) => statement.entries.map((entry) => entry.moduleRequest?.value)).filter((value) => value !== undefined),
  ];
  const lazy = found.dynamicImports.map(({moduleRequest}) => source.slice(moduleRequest.start, moduleRequest.end)).filter((text) => /^['"]/.test(text));
  return [
    ...eager.map((specifier) => ({from: file, to: resolve(specifier), lazy: false})),
    ...lazy.map((text) => ({from: file, to: resolve(text.slice(1, -1)), lazy: true})),
  ];
}

interface Breach {
  readonly rule: string;
  readonly from: string;
  readonly message: string;
}

function check(base: string): {files: number; imports: number; breaches: Breach[]} {
  const files = globSync('src/**/*.ts', {cwd: base}).sort();
  const imports = files.flatMap((file) => importsOf(base, file));
  const breaches: Breach[] = [];
  for (const {from, to, lazy} of imports) {
    if (to.startsWith('missing:')) breaches.push({rule: 'missing', from, message: `${from}: ${to.slice(8)} is not there`});
    for (const rule of floorRules) {
      const match = rule.from.exec(from);
      if (!match || rule.fromNot?.test(from) || !rule.to.test(to) || (rule.lazy && lazy)) continue;
      if (rule.toNot && new RegExp(rule.toNot.replace(/\$(\d)/g, (_, n: string) => match[Number(n)] ?? '')).test(to)) continue;
      breaches.push({rule: rule.name, from, message: `${from} must not import ${to}: ${rule.why} (${rule.name})`});
    }
  }
  for (const cycle of cycles(imports)) breaches.push({rule: 'no-cycles', from: cycle[0]!, message: `a cycle is one module pretending to be several: ${cycle.join(' → ')}`});
  return {files: files.length, imports: imports.length, breaches};
}

/** One cycle for each back edge of a depth-first walk, starting at its first file in alphabetical order. Lazy imports do not count. */
function cycles(imports: readonly Import[]): string[][] {
  const edges = Map.groupBy(imports.filter(({to, lazy}) => to.startsWith('src/') && !lazy), ({from}) => from);
  const state = new Map<string, 'open' | 'done'>();
  const found: string[][] = [];
  const walk = (file: string, trail: readonly string[]): void => {
    state.set(file, 'open');
    for (const {to} of edges.get(file) ?? []) {
      if (state.get(to) === 'open') found.push([...trail.slice(trail.indexOf(to)), to]);
      else if (!state.has(to)) walk(to, [...trail, to]);
    }
    state.set(file, 'done');
  };
  for (const file of [...edges.keys()].sort()) if (!state.has(file)) walk(file, [file]);
  return found;
}

const problems: string[] = [];
const toy = check(path.join(root, 'test/fixtures/breaches'));
const noticed = new Set(toy.breaches.map(({rule, from}) => `${rule}: ${from}`));
for (const line of planted) if (!noticed.has(line)) problems.push(`a planted breach was not noticed: ${line}`);
for (const line of noticed) if (!planted.includes(line)) problems.push(`the toy tree breaks a rule that it should not: ${line}`);
for (const {name} of floorRules) if (!planted.some((line) => line.startsWith(`${name}: `))) problems.push(`no breach is planted for the rule ${name}`);

const house = check(root);
for (const {message} of house.breaches) problems.push(message);

for (const problem of problems) console.error(`floors: ${problem}`);
console.log(`floors: ${house.files} files, ${house.imports} imports, ${planted.length} planted breaches, ${problems.length} problems`);
process.exitCode = problems.length > 0 ? 1 : 0;
