/**
 * Everything in one process: the object graph of `weir up`, of the demo and of tests that embed an instance.
 *
 * It is built from the ground up and comes down in the opposite order: front ends (whoever asks is answered before what answers goes),
 * master and its jobs, block store, metastore, the lock. Each step of the way down has a deadline, so that a store that does not answer
 * cannot keep an instance alive; what was acknowledged is safe whatever happens then.
 */
import {assert} from '#base/assert.ts';
import {WeirError} from '#base/errors.ts';
import {Foreground} from '#base/foreground.ts';
import {openBlockStore} from '#blockstore/open-block-store.ts';
import type {InstanceInfo, RootKey, UpOptions} from '#cli/environment.ts';
import {leftDrafts, recoverDrafts, retryDrafts} from '#client/draft-recovery.ts';
import {EndedMounts} from '#client/ended-mounts.ts';
import {FileSystemClient} from '#client/file-system-client.ts';
import {InventorySchedule} from '#client/inventory/inventories.ts';
import {OpenDrafts} from '#client/open-drafts.ts';
import {ServedDrafts} from '#client/served-drafts.ts';
import {isDirectoryRow} from '#codec/namespace/directory-rows.ts';
import {isOnPaths} from '#codec/namespace/keys.ts';
import {rootPrincipal, systemContext} from '#contracts/context.ts';
import type {Whereabouts} from '#contracts/mounts-api.ts';
import {draftsWire, identityWire, masterWire, mountsWire, workerWire} from '#contracts/wire.ts';
import {openInodes} from '#frontends/fuse/take-over.ts';
import {restHandler} from '#frontends/rest/server.ts';
import {websiteHandler} from '#frontends/s3/website/server.ts';
import {s3Handler} from '#frontends/s3/server.ts';
import {Identity} from '#master/identity/identity.ts';
import {Master} from '#master/master.ts';
import {writeBackup} from '#metastore/backup.ts';
import {openLmdbEngine} from '#metastore/lmdb/lmdb-engine.ts';
import {keepHotValues} from '#metastore/hot-values.ts';
import {openMetastore} from '#metastore/open-metastore.ts';
import {AuditLog} from '#process/audit-log.ts';
import {cacheTiers} from '#process/cache-tiers.ts';
import {connectors} from '#process/connectors.ts';
import {type Home, homeAt, lockHome, writeInstance} from '#process/home.ts';
import {checkHomePermissions} from '#process/home-permissions.ts';
import {isKeptIn, leftMounts, restoreLocks, takeUpDrafts} from '#process/kept-mounts.ts';
import {administrators, rootKey} from '#process/keys.ts';
import {type OwnPort, refuseOwnEndpoint} from '#process/own-endpoint.ts';
import {exists, removeFile} from '#process/small-files.ts';
import {forgetLeftovers, pendingCache, restoreUploads} from '#process/pending-cache.ts';
import {ownCertificate} from '#process/own-certificate.ts';
import {ServedMounts} from '#process/served-mounts.ts';
import type {ServingOptions} from '#process/serving/start-serving.ts';
import {mountAll, setWriteType} from '#process/start-mounts.ts';
import {rpcService} from '#rpc/served-calls.ts';
import {serveRpc} from '#rpc/server.ts';
import type {Fuse} from '#runtime/fuse.ts';
import type {Http, HttpThreads} from '#runtime/http.ts';
import type {Log} from '#runtime/log.ts';
import type {Address} from '#runtime/net.ts';
import type {Runtime} from '#runtime/runtime.ts';
import {createStoreRegistry} from '#understore/registry.ts';
import {Worker} from '#worker/worker.ts';

export interface EmbeddedOptions {
  /** Absolute. */
  readonly home: string;
  readonly up: UpOptions;
  readonly version: string;
  /** Written down as the holder of the home. */
  readonly pid: number;
  /** The environment, for stores that have standard variables. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** Of this process: it makes mounts for others there. */
  readonly whereabouts?: Whereabouts | undefined;
}

export interface EmbeddedServices {
  readonly runtime: Runtime;
  readonly http: Http;
  /** Of stores on this host, kept open. */
  readonly openFilesMax?: number;
  /** Where mounts can be made; what it has to say goes to its log. Needed where `up.fuse` asks for one. */
  readonly fuse?: (log: Log) => Fuse;
  /** Makes the threads that serve S3 connections beside this one, where the machine has them. */
  readonly serving?: (options: ServingOptions) => HttpThreads;
  /** Ends a start that takes too long; the running instance is ended by disposing of it. */
  readonly signal: AbortSignal;
}

export interface Instance extends AsyncDisposable {
  readonly info: InstanceInfo;
  readonly key: RootKey;
  readonly files: FileSystemClient;
  /** Before disposing: its mounts are not unmounted, but left to the next instance on this home. */
  leaveMounts(): Promise<void>;
}

const stepMs = 10_000;
/** Of the cache's disks, for what stores are still to get. */
const backlogShare = 0.5;
const loopback = /^(localhost|127(\.\d+){3}|::1)$/;

/** Resolves when everything answers. AlreadyRunning, AlreadyExists (a port is taken), InvalidArgument and Unavailable (mounts). */
export async function startEmbedded(options: EmbeddedOptions, {runtime, http, fuse: makeFuse, serving, openFilesMax, signal}: EmbeddedServices): Promise<Instance> {
  const home = homeAt(options.home);
  const {up} = options;
  const down = new StopSteps(runtime);
  try {
    await down.add('lock', lockHome(runtime.disk, home));
    await checkHomePermissions(runtime, home);
    const key = await rootKey(runtime, home);
    const own: OwnPort = {host: up.host, port: up.s3Port};
    const registry = refuseOwnEndpoint(createStoreRegistry(connectors, {...runtime, http, variables: options.variables}, runtime.metrics), options.variables, own);

    const certificate = up.tls && (await ownCertificate(runtime, up.tls));
    const tls = certificate ? {tls: certificate.serve} : {};

    const cache = await cacheTiers(runtime, home, up);
    down.push('memory tier', () => cache.release());
    const [metastore, blocks] = await Promise.all([down.add('metastore', openState(runtime, home)), down.add('block store', openBlockStore({runtime, tiers: cache.tiers}))]);
    const fuse = makeFuse?.(runtime.log);
    // All come back, by whomever they are served then.
    const left = fuse ? leftMounts(fuse, home.mounts, runtime.log) : [];
    const origins = left.map(({kept}) => kept.origin);
    const foreground = new Foreground();
    let running: Worker | undefined;
    let mounts: ServedMounts | undefined;
    const master: Master = await down.add(
      'master',
      Master.open({
        metastore,
        runtime,
        stores: registry,
        root: {uri: fileUri(home.data), options: {}, freshness: {kind: 'immutable'}},
        onContentDropped: async (contents) => {
          for (const id of contents) await (running ? running.dropped(id) : blocks.drop(id));
        },
        http,
        // Nobody listens before the instance is served.
        onHolderGone: holder => (mounts?.serves(holder) ? void master.endHolder(holder) : endedMounts.gone(holder)),
        returningHolders: origins,
        pending: pendingCache(blocks, () => running, (mount) => master.stores.get(mount).capabilities.localFile, (upload) => running?.uploadEnded(upload)),
        backlog: {bytesMax: cache.tiers.reduce((sum, tier) => sum + (tier.name === 'MEM' ? 0 : tier.quotaBytes), 0) * backlogShare},
        foreground,
        writeBackup: (store) => writeBackup(store, runtime.clock),
      }),
    );
    // Before anybody can take away what is open.
    for (const each of left) await master.hold(each.kept.origin, [...openInodes(each)], systemContext);
    for (const each of left) await restoreLocks(master, each);
    void forgetLeftovers(blocks, master, runtime.log);
    const identity = await Identity.open({metastore, runtime, rootKey: key});
    const lookup = administrators(identity.directory, runtime.clock);
    const audit = up.audit === false ? undefined : await down.add('audit log', AuditLog.open(runtime, {path: home.auditFile}));
    const worker = (running = new Worker({runtime, blocks, stores: master.stores, drafts: home.drafts, ...(openFilesMax === undefined ? {} : {openFilesMax})}));
    void restoreUploads(worker, master, runtime.log);
    down.push('worker', () => worker[Symbol.asyncDispose]());
    const here = {master, worker};
    const openDrafts = new OpenDrafts({master, worker, here});
    const servedDrafts = new ServedDrafts({drafts: openDrafts, clock: runtime.clock, random: runtime.random});
    const files = new FileSystemClient({master, worker, here, drafts: openDrafts});
    const {clock, log} = runtime;
    const whose = {
      draftsOf: (holder: string) => openDrafts.of(holder), isBack: (holder: string) => master.isListening(holder), letGo: (holder: string) => master.endHolder(holder),
      ended: (holder: string) => servedDrafts.ended(holder),
      isKept: async (holder: string) => fuse !== undefined && (await isKeptIn(fuse, home.mounts, holder)),
    };
    const endedMounts = await down.add('mounts that ended', Promise.resolve(new EndedMounts({clock, log, ...whose}, systemContext)));
    signal.throwIfAborted();

    const baseDomains = ['localhost', ...(/[a-z]/i.test(up.host) && !up.host.includes(':') && up.host !== 'localhost' ? [up.host] : [])];
    const audited = audit ? {audit: audit.record} : {};
    const threads = serving?.({runtime, master, worker, files, identity, baseDomains, ...audited, ...tls, ...(up.threads === undefined ? {} : {fixed: up.threads})});
    const s3Options = {address: {host: up.host, port: up.s3Port}, ...tls, ...(threads ? {threads} : {})};
    const s3 = await down.add('S3', http.serve(s3Options, foreground.counted(s3Handler({files, runtime, baseDomains, identity: identity.directory, ...audited}))));
    own.port = s3.address.port;
    const rest = await down.add(
      'REST',
      http.serve({address: {host: up.host, port: up.httpPort}, ...tls}, foreground.counted(restHandler({files, identity, runtime, version: options.version, lookup, openMetrics: loopback.test(up.host)}))),
    );
    const website =
      up.websitePort === undefined
        ? undefined
        : await down.add('websites', http.serve({address: {host: up.host, port: up.websitePort}, ...tls}, foreground.counted(websiteHandler({files, runtime, identity: identity.directory}))));
    const recovery = new AbortController();
    const recoveryContext = {principal: rootPrincipal, signal: recovery.signal};
    const lost = await takeUpDrafts(openDrafts, await leftDrafts(worker, log, recoveryContext), left, log);
    for (const origin of origins) endedMounts.gone(origin);
    const tried = recoverDrafts({master, worker}, lost, runtime.log, recoveryContext);
    const recovering = tried.then(() => undefined);
    const retrying = tried.then((waiting) => retryDrafts({master, worker}, waiting, clock, log, recoveryContext));
    down.push('drafts', async () => {
      recovery.abort();
      await retrying;
    });
    const services = [rpcService('master', masterWire, master), rpcService('worker', workerWire, worker), rpcService('drafts', draftsWire, servedDrafts), rpcService('identity', identityWire, identity)];
    if (makeFuse) {
      mounts = new ServedMounts({files, runtime, foreground, fuse: makeFuse, whereabouts: options.whereabouts, keeper: home.mounts, recovering: {inodes: lost.map(({inode}) => inode), done: recovering}});
      services.push(rpcService('mounts', mountsWire, mounts));
    }
    const rpc = await down.add('RPC', serveRpc(runtime, {address: {host: up.host, port: up.rpcPort}, services, lookup, foreground}));
    const {writeType} = up;
    if (writeType !== undefined) await setWriteType(files, writeType, {principal: rootPrincipal, signal});
    await mountAll(files, registry, writeType === undefined ? up.uris : up.uris.map((mount) => ({...mount, options: {writeType, ...mount.options}})), options.variables, runtime.log, {principal: rootPrincipal, signal});

    await down.add('inventories', Promise.resolve(new InventorySchedule({files, runtime})));

    if (mounts) await down.add('mounts', Promise.resolve(mounts));
    if (up.fuse) {
      assert(mounts !== undefined, 'who starts an instance with a mount brings FUSE');
      await mounts.serveOwn(up.fuse);
    }

    const info: InstanceInfo = {
      pid: options.pid,
      home: home.directory,
      s3: urlOf(s3.address, certificate !== undefined),
      http: urlOf(rest.address, certificate !== undefined),
      rpc: {host: reachable(rpc.address.host), port: rpc.address.port},
      ...(website ? {website: urlOf(website.address, certificate !== undefined)} : {}),
      ...(certificate ? {tls: certificate.info} : {}),
      ...(up.fuse === undefined ? {} : {fuse: up.fuse.directory}),
      ...(mounts && options.whereabouts ? {whereabouts: options.whereabouts} : {}),
      startedAt: runtime.clock.nowMs(),
    };
    await writeInstance(runtime.disk, home, info);
    down.push('instance.json', () => removeFile(runtime.disk, home.instance));
    runtime.log.info('ready', {home: info.home, s3: info.s3, http: info.http, version: options.version});
    return {
      info, key, files,
      leaveMounts: async () => await mounts?.leave(),
      [Symbol.asyncDispose]: () => down.run(),
    };
  } catch (error) {
    await down.run();
    throw error;
  }
}

async function openState(runtime: Runtime, home: Home) {
  // A restore was interrupted between its two renames: an empty state must not pass for the old one or the new.
  if (!(await exists(runtime.disk, home.metadata)) && (await exists(runtime.disk, home.stateBefore))) {
    throw new WeirError('Corrupt', `a restore into ${home.directory} was interrupted; restore again, or put ${home.stateBefore} back in the place of ${home.state}`);
  }
  const engine = await openLmdbEngine(runtime.disk, home.metadata);
  try {
    return await openMetastore({runtime, directory: home.metadataLog, engine: keepHotValues(engine, isOnPaths), recalled: isDirectoryRow});
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/** What has been started, and how it is stopped: last first, each within a deadline, whatever the others do. */
class StopSteps {
  readonly #runtime: Runtime;
  readonly #steps: {readonly name: string; readonly stop: () => Promise<void>}[] = [];

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  push(name: string, stop: () => Promise<void>): void {
    this.#steps.push({name, stop});
  }

  async add<T extends AsyncDisposable>(name: string, starting: Promise<T>): Promise<T> {
    const started = await starting;
    this.push(name, async () => await started[Symbol.asyncDispose]());
    return started;
  }

  async run(): Promise<void> {
    for (const {name, stop} of this.#steps.splice(0).reverse()) {
      const done = new AbortController();
      // This timer also keeps the process alive until the step has ended.
      const late = this.#runtime.clock.sleep(stepMs, {signal: done.signal}).then(
        () => this.#runtime.log.warn(`stopping: ${name} did not end within ${stepMs / 1000} s`),
        () => undefined,
      );
      try {
        await Promise.race([stop(), late]);
      } catch (error) {
        this.#runtime.log.warn(`stopping: ${name} failed`, {error});
      }
      done.abort();
    }
  }
}

function fileUri(directory: string): string {
  return `file://${directory.split('/').map(encodeURIComponent).join('/')}`;
}

/** Where this machine reaches what listens on an address; "everywhere" is no place to connect to. */
function reachable(host: string): string {
  return host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
}

function urlOf({host, port}: Address, secure: boolean): string {
  const name = reachable(host);
  return `${secure ? 'https' : 'http'}://${name.includes(':') ? `[${name}]` : name}:${port}`;
}
