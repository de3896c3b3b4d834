/** weir webhook: where events of buckets may be sent. */
import type {Command} from 'commander';
import {WeirError} from '#base/errors.ts';
import {example, type Register, withFiles} from '#cli/command.ts';
import type {CliEnvironment} from '#cli/environment.ts';
import {json, print, table} from '#cli/output.ts';

const fileBytesMax = 256 * 1024;

/** Secrets are read from files, so that they stand in no list of processes and no history. */
async function textOf({runtime, workingDirectory}: CliEnvironment, file: string): Promise<string> {
  await using source = await runtime.disk.open(file.startsWith('/') ? file : `${workingDirectory}/${file}`, {mode: 'read'});
  const bytes = Buffer.alloc(fileBytesMax);
  const text = bytes.subarray(0, await source.read(bytes, 0)).toString('utf8').trim();
  if (text === '') throw new WeirError('InvalidArgument', `${file} is empty`);
  return text;
}

interface AddFlags {
  readonly tokenFile?: string;
  readonly secretFile?: string;
  readonly caFile?: string;
}

export const registerWebhook: Register = (parent, environment) => {
  const group = parent.command('webhook').description('where events of buckets may be sent; buckets name a webhook in their notification configuration');

  const add: Command = group
    .command('add NAME URL')
    .description('make a webhook, or change where its events go')
    .option('--token-file <FILE>', 'a token that is sent with each request (Authorization: Bearer)')
    .option('--secret-file <FILE>', 'what requests are signed with (X-Weir-Signature, HMAC-SHA-256)')
    .option('--ca-file <FILE>', 'whom to believe on https, instead of the well-known authorities: certificates in PEM form')
    .action(async (name: string, url: string, flags: AddFlags) => {
      const [token, secret, certificates] = await Promise.all([flags.tokenFile, flags.secretFile, flags.caFile].map(async (file) => (file === undefined ? undefined : await textOf(environment, file))));
      const webhook = {url, ...(token === undefined ? {} : {token}), ...(secret === undefined ? {} : {secret}), ...(certificates === undefined ? {} : {certificates})};
      await withFiles(environment, add, async (files, context, options) => {
        const info = await files.putWebhook(name, webhook, context);
        await print(environment.terminal, options.json, info, `${info.arn}    to be named in put-bucket-notification-configuration\n`);
      });
    });
  example(add, 'weir webhook add ingest https://ingest.example/s3 --secret-file secret.txt');

  const ls: Command = group
    .command('ls')
    .alias('list')
    .description('all webhooks, and what waits for them')
    .action(async () => {
      await withFiles(environment, ls, async (files, context, options) => {
        const webhooks = await files.listWebhooks(context);
        const rows = webhooks.map(({name, url, backlog, dropped, lastError}) => [name, url, String(backlog), String(dropped), lastError ?? '']);
        await print(environment.terminal, options.json, webhooks, table(['NAME', 'URL', 'WAITING', 'DROPPED', 'LAST ERROR'], rows, [2, 3]));
      });
    });
  example(ls, 'weir webhook ls');

  const rm: Command = group
    .command('rm NAME')
    .alias('remove')
    .description('remove a webhook that no bucket names, with the events that wait for it')
    .action(async (name: string) => {
      await withFiles(environment, rm, async (files, context, options) => {
        await files.removeWebhook(name, context);
        if (options.json) await environment.terminal.out(json({removed: name}));
      });
    });
  example(rm, 'weir webhook rm ingest');
};
