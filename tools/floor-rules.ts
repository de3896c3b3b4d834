/**
 * The floors, as data: which folder may import which. Every rule says why; tools/floors.ts proves that each one bites, on the
 * planted breaches of test/fixtures/breaches.
 *
 * A rule forbids imports from files that match `from` (and not `fromNot`) to targets that match `to` (and not `toNot`). A target is a
 * file (`src/base/errors.ts`), a module of Node (`node:fs`) or a package (`npm:lmdb`). `$1` in `toNot` is the first group of `from`,
 * and so on. With `lazy`, `import()` is allowed.
 */
export interface FloorRule {
  readonly name: string;
  readonly why: string;
  readonly from: RegExp;
  readonly fromNot?: RegExp;
  readonly to: RegExp;
  readonly toNot?: string;
  readonly lazy?: boolean;
}

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
const folders = (names: readonly string[]) => new RegExp(`^src/(${names.join('|')})/`);
const isTest = /[.]test[.]ts$/;
const product = /^src\//;

export const floorRules: readonly FloorRule[] = [
  ...ladder.slice(0, -1).map((names, i) => ({
    name: `looks-up:${names.join('+')}`,
    why: 'a floor knows only the floors below it',
    from: folders(names),
    fromNot: isTest,
    to: folders(ladder.slice(i + 1).flat()),
  })),
  {
    name: 'neighbours',
    why: 'storage primitives do not know each other',
    from: /^src\/(metastore|blockstore|rpc|understore)\//,
    fromNot: isTest,
    to: /^src\/(metastore|blockstore|rpc|understore)\//,
    toNot: '^src/$1/',
  },
  {
    name: 'services-meet-through-contracts',
    why: 'master, worker and client can live in different processes',
    from: /^src\/(master|worker|client)\//,
    fromNot: isTest,
    to: /^src\/(master|worker|client)\//,
    toNot: '^src/$1/',
  },
  {
    name: 'front-ends-use-the-client',
    why: 'a front end translates a protocol into client calls; it has no other way to data',
    from: folders(['frontends', 'cli']),
    fromNot: isTest,
    to: folders(['master', 'worker', 'connectors', ...primitives]),
  },
  {
    name: 'islands',
    why: 'connectors do not know each other, nor do front ends, nor formats',
    from: /^src\/(connectors|frontends|codec)\/([^/]+)\//,
    fromNot: isTest,
    to: /^src\/(connectors|frontends|codec)\/[^/]+\//,
    toNot: '^src/$1/$2/|^src/(?!$1/)',
  },
  {
    name: 'connectors-load-lazily',
    why: 'nobody pays for a store that is not mounted',
    from: product,
    fromNot: /^src\/connectors\/|[.]test[.]ts$/,
    to: /^src\/connectors\//,
    lazy: true,
  },
  {
    name: 'connectors-are-listed-in-process',
    why: 'only process/connectors.ts knows which connectors there are',
    from: product,
    fromNot: /^src\/connectors\/|^src\/process\/connectors[.]ts$|[.]test[.]ts$/,
    to: /^src\/connectors\//,
  },
  {
    name: 'outside-world-only-in-runtime',
    why: 'one door to clock, disk and network, so that a cluster can be simulated',
    from: product,
    fromNot: /^src\/runtime\/node\/|[.]test[.]ts$/,
    to: /^node:/,
    toNot: '^node:(assert|async_hooks|buffer|crypto|diagnostics_channel|events|stream|util|zlib)(/|$)',
  },
  {
    name: 'real-machine-is-chosen-in-process',
    why: 'everyone else receives a Runtime',
    from: product,
    fromNot: /^src\/(runtime\/node|process)\/|[.]test[.]ts$/,
    to: /^src\/runtime\/node\//,
  },
  {
    name: 'simulation-is-for-tests',
    why: 'the product never runs on the simulated machine',
    from: product,
    fromNot: /^src\/runtime\/sim\/|[.]test[.]ts$/,
    to: /^src\/runtime\/sim\//,
  },
  {
    name: 'koffi-only-in-runtime-native',
    why: 'foreign calls are named functions of the runtime',
    from: product,
    fromNot: /^src\/runtime\/node\/native\//,
    to: /^npm:koffi$/,
  },
  {
    name: 'lmdb-only-in-metastore-lmdb',
    why: 'the state engine can be exchanged',
    from: product,
    fromNot: /^src\/metastore\/lmdb\//,
    to: /^npm:lmdb$/,
  },
  {
    name: 'sdks-only-in-their-connector',
    why: 'an SDK is a detail of one store',
    from: product,
    fromNot: /^src\/connectors\/|[.]test[.]ts$/,
    to: /^npm:(@aws-sdk|@smithy|@azure|@google-cloud)\//,
  },
  {
    name: 'pino-and-prometheus-only-in-runtime',
    why: 'logs and metrics are interfaces everywhere else',
    from: product,
    fromNot: /^src\/runtime\/node\//,
    to: /^npm:(pino|@prometheus-io\/client)$/,
  },
  {
    name: 'product-never-imports-tests',
    why: 'tests are not shipped',
    from: product,
    fromNot: isTest,
    to: /^(test|bench|tools)\/|[.]test[.]ts$/,
  },
];
