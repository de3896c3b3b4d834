/** weir explain: where a file's bytes are, how fresh its metadata is, what it cost, and why. */
import type {Command} from 'commander';
import {formatDuration, formatSize} from '#base/units.ts';
import {example, type Register, withFiles} from '#cli/command.ts';
import {pathArgument, print, showName} from '#cli/output.ts';
import {persistRows} from '#cli/persist.ts';
import type {FileSystem} from '#client/file-system.ts';
import type {PersistInfo} from '#contracts/administration.ts';
import {formatFreshness} from '#model/mount.ts';
import {explanationJson, persistJson} from '#codec/rest/values.ts';

type Explanation = Awaited<ReturnType<FileSystem['explain']>>;

/** `0-15, 20, 31-40`; long lists end in how many more there are. */
function showPages(runs: readonly (readonly [number, number])[]): string {
  const shown = runs.slice(0, 12).map(([first, count]) => (count === 1 ? String(first) : `${first}-${first + count - 1}`));
  return `${shown.join(', ')}${runs.length > 12 ? ` and ${runs.length - 12} more runs` : ''}`;
}

function showFreshness({master}: Explanation, nowMs: number): string {
  const {validUntil, checkedAt} = master;
  const asked = checkedAt > 0 ? `the store confirmed it ${formatDuration(Math.max(0, nowMs - checkedAt))} ago` : 'the store was not asked';
  const until = () => {
    if (validUntil === 'forever') return 'believed for good';
    if (validUntil === 'never') return 'asked again on every use';
    return validUntil > nowMs ? `believed for another ${formatDuration(validUntil - nowMs)}` : 'asked again on the next use';
  };
  return `${asked}; ${until()} (${formatFreshness(master.mount.freshness)})`;
}

/** The explanation for people, as lines. */
export function explainText(explanation: Explanation, nowMs: number, pending?: PersistInfo): string {
  const {master, cache} = explanation;
  const {info, mount} = master;
  const lines = [
    `${showName(info.path)}  ${info.inode.kind}, ${formatSize(info.length)} (${info.length} bytes)`,
    `  store      ${mount.uri} as ${showName(master.storeKey) || '(its root)'}${mount.readOnly ? ', read-only' : ''}`,
    ...(info.inode.content ? [`  version    content ${info.inode.content.id}, ETag ${info.inode.content.etag}`] : []),
    `  freshness  ${showFreshness(explanation, nowMs)}`,
    `  why        ${master.reason}`,
    ...(pending ? persistRows(pending, nowMs).map(([name, value]) => `  ${name.padEnd(10)} ${value}`) : []),
  ];
  if (cache) {
    const pages = Math.ceil(info.length / cache.pageBytes);
    if (cache.inPlace) lines.push('  cache      not cached: the store is on this machine and is read in place');
    else if (cache.tiers.length === 0) lines.push('  cache      nothing of it');
    for (const tier of cache.tiers) {
      const count = tier.pages.reduce((sum, [, run]) => sum + run, 0);
      lines.push(`  cache      ${tier.name}: ${count} of ${pages} pages of ${formatSize(cache.pageBytes)} (${formatSize(tier.bytes)}): ${showPages(tier.pages)}`);
    }
    if (cache.pinned) lines.push('  pinned     it is not evicted');
    lines.push(`  cost       ${cache.upstreamRequests + master.upstreamRequests} requests and ${formatSize(cache.upstreamBytes)} upstream, ${formatSize(cache.servedBytes)} served from the cache, since the start`);
  }
  return `${lines.join('\n')}\n`;
}

export const registerExplain: Register = (parent, environment) => {
  const command: Command = parent
    .command('explain PATH...')
    .description('where the bytes of a file are, how fresh, what it cost, why')
    .action(async (paths: string[]) => {
      await withFiles(environment, command, async (files, context, globals) => {
        for (const path of paths) {
          const explanation = await files.explain(pathArgument(path), {}, context);
          const {info} = explanation.master;
          const pending = info.inode.content?.pending && (await files.listPending({path: info.path, limit: 1}, context)).entries[0];
          const value = {...explanationJson(explanation.master, explanation.cache), ...(pending ? {pending: persistJson(pending)} : {})};
          await print(environment.terminal, globals.json, value, explainText(explanation, environment.runtime.clock.nowMs(), pending || undefined));
        }
      });
    });
  example(command, 'weir explain /my-bucket/table/part-0.parquet');
};
