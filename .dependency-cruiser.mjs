/**
 * The floors: which folder may import which. Every rule says why; tools/floors.ts proves that each one bites, on the planted
 * breaches of test/fixtures/breaches.
 */
const ladder = [
  ['base'],
  ['model'],
  ['contracts'],
  ['codec'],
  ['runtime'],
  ['journal'],
  ['metastore', 'blockstore', 'rpc', 'understore'],
  ['connectors'],
  ['master', 'worker', 'client'],
  ['frontends', 'cli'],
  ['process'],
];
const primitives = ['journal', 'metastore', 'blockstore', 'rpc', 'understore'];
const services = ['master', 'worker', 'client'];

const test = '[.]test[.]ts$';
const dirs = (names) => `^src/(${names.join('|')})/`;
const forbid = (name, comment, from, to) => ({name, comment, severity: 'error', from: {pathNot: test, ...from}, to});
const packages = (names) => `(^|/)node_modules/(${names.join('|')})(/|$)|^(${names.join('|')})(/|$)`;
const harmless = '^(node:)?(assert|async_hooks|buffer|crypto|diagnostics_channel|events|stream|util|zlib)(/|$)';

export default {
  forbidden: [
    ...ladder.slice(0, -1).map((names, i) =>
      forbid(`looks-up:${names.join('+')}`, 'A floor knows only the floors below it.', {path: dirs(names)}, {path: dirs(ladder.slice(i + 1).flat())}),
    ),
    forbid(
      'neighbours',
      'Storage primitives do not know each other (journal excepted, which lies below).',
      {path: '^src/(metastore|blockstore|rpc|understore)/'},
      {path: '^src/(metastore|blockstore|rpc|understore)/', pathNot: '^src/$1/'},
    ),
    forbid(
      'services-meet-through-contracts',
      'Master, worker and client can live in different processes.',
      {path: dirs(services)},
      {path: dirs(services), pathNot: '^src/$1/'},
    ),
    forbid(
      'front-ends-use-the-client',
      'A front end translates a protocol into client calls; it has no other way to data.',
      {path: dirs(['frontends', 'cli'])},
      {path: dirs(['master', 'worker', 'connectors', ...primitives])},
    ),
    forbid(
      'islands',
      'Connectors do not know each other, front ends do not know each other.',
      {path: '^src/(connectors|frontends|codec)/([^/]+)/'},
      {path: '^src/$1/', pathNot: '^src/$1/$2/'},
    ),
    forbid(
      'connectors-load-lazily',
      'Nobody pays for a store that is not mounted.',
      {path: '^src/', pathNot: `^src/connectors/|${test}`},
      {path: dirs(['connectors']), dependencyTypesNot: ['dynamic-import']},
    ),
    forbid(
      'connectors-are-listed-in-process',
      'Only process/connectors.ts knows which connectors there are.',
      {path: '^src/', pathNot: `^src/connectors/|^src/process/connectors[.]ts$|${test}`},
      {path: dirs(['connectors'])},
    ),
    forbid(
      'outside-world-only-in-runtime',
      'One door to clock, disk and network, so that a cluster can be simulated.',
      {path: '^src/', pathNot: `^src/runtime/node/|${test}`},
      {dependencyTypes: ['core'], pathNot: harmless},
    ),
    forbid(
      'real-machine-is-chosen-in-process',
      'Everyone else receives a Runtime.',
      {path: '^src/', pathNot: `^src/(runtime/node|process)/|${test}`},
      {path: '^src/runtime/(node|sim)/', pathNot: '^src/runtime/sim/'},
    ),
    forbid(
      'simulation-is-for-tests',
      'The product never runs on the simulated machine.',
      {path: '^src/', pathNot: `^src/runtime/sim/|${test}`},
      {path: '^src/runtime/sim/'},
    ),
    forbid(
      'koffi-only-in-runtime-native',
      'Foreign calls are named functions of the runtime.',
      {path: '^src/', pathNot: '^src/runtime/node/native/'},
      {path: packages(['koffi'])},
    ),
    forbid(
      'lmdb-only-in-metastore-lmdb',
      'The state engine can be exchanged.',
      {path: '^src/', pathNot: '^src/metastore/lmdb/'},
      {path: packages(['lmdb'])},
    ),
    forbid(
      'sdks-only-in-their-connector',
      'An SDK is a detail of one store.',
      {path: '^src/', pathNot: `^src/connectors/|${test}`},
      {path: packages(['@aws-sdk', '@smithy', '@azure', '@google-cloud'])},
    ),
    forbid(
      'pino-and-prometheus-only-in-runtime',
      'Logs and metrics are interfaces everywhere else.',
      {path: '^src/', pathNot: '^src/runtime/node/'},
      {path: packages(['pino', '@prometheus-io'])},
    ),
    forbid('no-cycles', 'A cycle is one module pretending to be several.', {}, {circular: true}),
    forbid('product-never-imports-tests', 'Tests are not shipped.', {path: '^src/'}, {path: `^test/|^bench/|^tools/|${test}`}),
    forbid('resolvable', 'An import that cannot be found.', {}, {couldNotResolve: true}),
  ],
  options: {
    parser: 'swc',
    tsPreCompilationDeps: true,
    doNotFollow: {path: 'node_modules'},
    enhancedResolveOptions: {conditionNames: ['source', 'import', 'node', 'default'], exportsFields: ['exports'], extensions: ['.ts', '.mjs', '.js', '.json']},
  },
};
