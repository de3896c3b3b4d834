/**
 * DuckDB, unmodified, over TPC-H as Parquet: on the store through the link, through Weir for the first and the second time, on the store
 * without a link, and on a bare file server. Every run is a new process; all must find the same answers.
 */
import {mkdir} from 'node:fs/promises';
import path from 'node:path';
import {startNginx} from '../test/servers/nginx.ts';
import {type PythonClients, pythonClients} from '../test/servers/python-clients.ts';
import {command} from '../test/servers/tools.ts';
import {type BenchOptions, mb} from './bench.ts';
import {FarStore, farLink} from './far-store.ts';
import {atLeast, atMost, median, number, type Section} from './report.ts';
import {tpchQueries} from './tpch-queries.ts';

const bucket = 'tpch';
const tables = ['customer', 'lineitem', 'nation', 'orders', 'part', 'partsupp', 'region', 'supplier'];

interface Endpoint {
  readonly url: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

interface Run {
  readonly seconds: number;
  /** Of all answers, so that runs can be compared. */
  readonly digest: string;
}

/** The program reads its settings from the environment; the clock runs from the first view to the last answer. */
const program = `
import duckdb, hashlib, json, os, time
settings = json.loads(os.environ['WEIR_BENCH'])
db = duckdb.connect()
db.execute("set enable_progress_bar = false")  # it would be printed between the results
db.execute(f"load '{settings['extension']}'")
if settings['endpoint']:
    db.execute(f"""create secret (type s3, key_id '{settings['key']}', secret '{settings['secret']}', region 'us-east-1', endpoint '{settings['endpoint']}', url_style 'path', use_ssl false)""")
digest = hashlib.sha256()
started = time.perf_counter()
for table in settings['tables']:
    db.execute(f"create view {table} as select * from read_parquet('{settings['prefix']}/{table}.parquet')")
for query in settings['queries']:
    rows = db.execute(query).fetchall()
    digest.update(repr([[round(v, 2) if isinstance(v, float) else str(v) for v in row] for row in rows]).encode())
print(json.dumps({'seconds': time.perf_counter() - started, 'digest': digest.hexdigest()}))
`;

export async function duckdb({quick, say}: BenchOptions): Promise<Section> {
  const scale = quick ? 0.01 : 1;
  const rounds = quick ? 1 : 3;
  const queries = quick ? tpchQueries.slice(0, 3) : tpchQueries;
  const title = `DuckDB over TPC-H Parquet (scale ${scale}) behind 25 ms and 200 MB/s`;
  const clients = await pythonClients('bench duckdb');
  await using store = await FarStore.start('bench duckdb', bucket);
  if (!clients || !store) return {name: 'duckdb', title, rows: [], notes: ['left out: no DuckDB or no versitygw']};
  await using files = await startNginx('bench duckdb', {root: store.server.data});
  say(`making TPC-H, scale ${scale}`);
  await makeTables(clients, store, scale);

  const digests = new Set<string>();
  const run = async (what: string, prefix: string, endpoint?: Endpoint): Promise<number> => {
    const settings = {
      extension: clients.httpfsExtension, tables, queries, prefix,
      endpoint: endpoint === undefined ? '' : new URL(endpoint.url).host, key: endpoint?.accessKeyId ?? '', secret: endpoint?.secretAccessKey ?? '',
    };
    const {seconds, digest} = JSON.parse(await clients.run(program, {WEIR_BENCH: JSON.stringify(settings)})) as Run;
    say(`${what}: ${number(seconds)} s`);
    digests.add(digest);
    return seconds;
  };
  const several = async (count: number, one: () => Promise<number>): Promise<number> => {
    const seconds: number[] = [];
    for (let i = 0; i < count; i++) seconds.push(await one());
    return median(seconds);
  };
  const s3 = `s3://${bucket}`;
  const {accessKeyId, secretAccessKey} = store.server;
  await using link = await store.link(farLink);
  const unlinked = await several(rounds, () => run('no link', s3, {url: store.server.endpoint, accessKeyId, secretAccessKey}));
  const bare = files && (await several(rounds, () => run('file server', `${files.url}/${bucket}`)));

  const directBefore = link.counters;
  const direct = await run('through the link', s3, {url: `http://127.0.0.1:${link.address.port}`, accessKeyId, secretAccessKey});
  const directBytes = link.counters.bytesDown - directBefore.bytesDown;
  const directRequests = link.counters.requests - directBefore.requests;

  const first: number[] = [];
  const second: number[] = [];
  const fetched: number[] = [];
  const requests: number[] = [];
  let late = 0;
  for (let i = 0; i < rounds; i++) {
    await using weir = await store.weir(link);
    const endpoint = {url: weir.s3.href, accessKeyId: weir.accessKeyId, secretAccessKey: weir.secretAccessKey};
    const before = link.counters;
    first.push(await run('first run through Weir', s3, endpoint));
    const between = link.counters;
    fetched.push(between.bytesDown - before.bytesDown);
    requests.push(between.requests - before.requests);
    second.push(await several(rounds, () => run('second run through Weir', s3, endpoint)));
    late = Math.max(late, link.counters.requests - between.requests);
  }
  if (digests.size !== 1) throw new Error('DuckDB found different answers in different places');

  const s = (seconds: number): string => `${number(seconds)} s`;
  const once = median(first);
  const asked = `${number(directBytes / mb)} MB in ${number(directRequests)}`;
  const got = `${number(median(fetched) / mb)} MB in ${number(median(requests))} requests`;
  const again = median(second);
  return {
    name: 'duckdb', title,
    rows: [
      {what: 'first run: times as fast as without Weir', measured: s(once), beside: `${s(direct)} through the link`, figure: direct / once, goal: atLeast(1)},
      {what: 'first run: bytes at the link ÷ asked without Weir', measured: got, beside: asked, figure: median(fetched) / directBytes, goal: atMost(1.5)},
      {what: 'second run ÷ the store with no link', measured: s(again), beside: s(unlinked), figure: again / unlinked, goal: atMost(1)},
      ...(bare === undefined ? [] : [{what: 'second run ÷ a bare file server (aim: 1)', measured: s(again), beside: s(bare), figure: again / bare}]),
      {what: 'second run: requests upstream', measured: String(late), beside: '', figure: late, goal: atMost(0)},
    ],
    notes: [`${queries.length} queries, each run a new process; medians of ${rounds}, the first runs each through a new instance; aim of the first run: twice as fast`],
  };
}

async function makeTables(clients: PythonClients, store: FarStore, scale: number): Promise<void> {
  const made = path.join(store.server.directory, 'made');
  await mkdir(made);
  await command(clients.tpchgen, ['parquet', '--scale-factor', String(scale), '--output-dir', made]);
  await clients.run(`
import boto3, glob, os
from botocore.config import Config
s3 = boto3.client('s3', config=Config(s3={'addressing_style': 'path'}))
for file in glob.glob(os.environ['WEIR_BENCH_FILES']): s3.upload_file(file, '${bucket}', os.path.basename(file))
`, {
    WEIR_BENCH_FILES: path.join(made, '*.parquet'), AWS_ENDPOINT_URL: store.server.endpoint, AWS_ACCESS_KEY_ID: store.server.accessKeyId, AWS_SECRET_ACCESS_KEY: store.server.secretAccessKey,
    AWS_DEFAULT_REGION: 'us-east-1',
  });
}
