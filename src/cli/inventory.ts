/** weir inventory: reports of what is in a bucket. */
import type {Command} from 'commander';
import {fromText, toText} from '#base/byte-string.ts';
import {example, type Register, withFiles} from '#cli/command.ts';
import {print, table} from '#cli/output.ts';
import {runInventory} from '#client/inventory/inventories.ts';
import type {ByteString} from '#base/byte-string.ts';
import {inventoriesOf} from '#model/inventory.ts';

export const registerInventory: Register = (parent, environment) => {
  const group = parent.command('inventory').description('lists of the objects of a bucket, as its inventory configurations say (S3: put-bucket-inventory-configuration)');

  const run: Command = group
    .command('run BUCKET ID')
    .description('produce a report now; those that are due are produced by themselves')
    .action(async (bucket: string, id: string) => {
      await withFiles(environment, run, async (files, context, options) => {
        const {rows, manifest} = await runInventory(files, environment.runtime, fromText(bucket), id, context);
        await print(environment.terminal, options.json, {rows, manifest: toText(manifest)}, `${toText(manifest)}    ${rows} rows\n`);
      });
    });
  example(run, 'weir inventory run photos daily-list');

  const ls: Command = group
    .command('ls BUCKET')
    .description('the inventory configurations of a bucket')
    .action(async (bucket: string) => {
      await withFiles(environment, ls, async (files, context, options) => {
        const inventories = inventoriesOf((await files.getSettings(`/${fromText(bucket)}/` as ByteString, context)).settings);
        const rows = inventories.map(({id, enabled, frequency, versions, destination, destinationPrefix = ''}) => [id, enabled ? frequency : 'off', versions, `/${destination}/${destinationPrefix}`]);
        await print(environment.terminal, options.json, inventories, table(['ID', 'WHEN', 'VERSIONS', 'INTO'], rows));
      });
    });
  example(ls, 'weir inventory ls photos');
};
