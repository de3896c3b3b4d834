/** weir user, key, group, policy: who may use the instance, and what they may. */
import type {Command} from 'commander';
import {WeirError} from '#base/errors.ts';
import {parseDuration} from '#base/units.ts';
import {countOption, example, type GlobalOptions, globals, type Register} from '#cli/command.ts';
import type {CliEnvironment} from '#cli/environment.ts';
import {json, print, table} from '#cli/output.ts';
import {groupJson, keyJson, policyJson, userJson} from '#codec/rest/identity-values.ts';
import type {CallContext} from '#contracts/context.ts';
import type {Holder, IdentityApi, KeyOptions, NewKey} from '#contracts/identity-api.ts';

const documentBytesMax = 64 * 1024;

async function withIdentity<T>(environment: CliEnvironment, command: Command, fn: (identity: IdentityApi, context: CallContext, options: GlobalOptions) => Promise<T>): Promise<T> {
  const options = globals(command);
  await using identity = await environment.connectIdentity(options.home);
  return await fn(identity, environment.context, options);
}

const collect = (text: string, before: readonly string[] = []) => [...before, text];

/** `-` is the standard input. */
async function readDocument({runtime, terminal, workingDirectory}: CliEnvironment, file: string): Promise<string> {
  if (file === '-') return Buffer.concat(await Array.fromAsync(terminal.input)).toString('utf8');
  await using source = await runtime.disk.open(file.startsWith('/') ? file : `${workingDirectory}/${file}`, {mode: 'read'});
  const bytes = Buffer.alloc(documentBytesMax);
  return bytes.subarray(0, await source.read(bytes, 0)).toString('utf8');
}

/** `30d`, or a date. */
function expiryOf(text: string, nowMs: number): number {
  const date = /^\d{4}-\d\d/.test(text) ? Date.parse(text) : nowMs + parseDuration(text);
  if (Number.isNaN(date)) throw new WeirError('InvalidArgument', `not a time of expiry: ${text} (write 30d, or 2027-01-31T00:00:00Z)`);
  return date;
}

const shownTime = (ms: number | undefined): string => (ms === undefined ? 'never' : new Date(ms).toISOString().slice(0, 16).replace('T', ' '));
const credentials = (key: NewKey): string => `access key  ${key.accessKeyId}\nsecret key  ${key.secretAccessKey}    shown this once\n`;

function holderOf({user, group}: {readonly user?: string; readonly group?: string}): Holder {
  if ((user === undefined) === (group === undefined)) throw new WeirError('InvalidArgument', 'name one of --user and --group');
  return user === undefined ? {group: group!} : {user};
}

interface AddUserFlags {
  readonly policy?: readonly string[];
  readonly group?: readonly string[];
  readonly account?: string;
  readonly uid?: number;
  readonly key: boolean;
}

export const registerUser: Register = (parent, environment) => {
  const group = parent.command('user').description('who may use the instance');

  const add: Command = group
    .command('add NAME')
    .description('make a user and its first access key; without policies or groups it has an account of its own, where it makes buckets and owns them')
    .option('--policy <NAME>', 'attach a policy: the user may do just what its policies say; repeatable', collect)
    .option('--group <NAME>', 'take it into a group; repeatable', collect)
    .option('--account <WHOSE>', 'own, or instance: to whom what it writes belongs')
    .option('--uid <N>', 'owner of the files that it makes', countOption)
    .option('--no-key', 'without an access key')
    .action(async (name: string, flags: AddUserFlags) => {
      const account = ([undefined, 'own', 'instance'] as const).find((known) => known === flags.account);
      if (flags.account !== account) throw new WeirError('InvalidArgument', '--account is own or instance');
      await withIdentity(environment, add, async (identity, context, options) => {
        const wanted = {...(flags.policy ? {policies: flags.policy} : {}), ...(flags.group ? {groups: flags.group} : {}), ...(account ? {account} : {}), ...(flags.uid === undefined ? {} : {uid: flags.uid})};
        const user = await identity.addUser(name, wanted, context);
        const key = flags.key ? await identity.addKey(name, {}, context) : undefined;
        const keyed = key ? {accessKeyId: key.accessKeyId, secretAccessKey: key.secretAccessKey} : {};
        await print(environment.terminal, options.json, {...userJson(user), ...keyed}, `${user.name} (${user.arn})\n${key ? credentials(key) : ''}`);
      });
    });
  example(add, 'weir user add alice', 'weir user add reader --policy read-public --json');

  const ls: Command = group
    .command('ls')
    .description('all users')
    .action(async () => {
      await withIdentity(environment, ls, async (identity, context, options) => {
        const users = await identity.listUsers(context);
        const rows = users.map((user) => [
          user.name, user.active ? 'active' : 'off', user.account, String(user.uid), user.groups.join(','), [...user.policies, ...user.inlinePolicies.map((name) => `(${name})`)].join(','),
        ]);
        await print(environment.terminal, options.json, users.map(userJson), table(['NAME', 'STATE', 'ACCOUNT', 'UID', 'GROUPS', 'POLICIES'], rows, [3]));
      });
    });
  example(ls, 'weir user ls');

  for (const [name, active, description] of [['off', false, 'refuse all keys of a user'], ['on', true, 'let a user in again']] as const) {
    const command: Command = group
      .command(`${name} NAME`)
      .description(description)
      .action(async (user: string) => {
        await withIdentity(environment, command, async (identity, context, options) => {
          await print(environment.terminal, options.json, userJson(await identity.updateUser(user, {active}, context)), '');
        });
      });
    example(command, `weir user ${name} alice`);
  }

  const rm: Command = group
    .command('rm NAME')
    .description('remove a user with its keys; what it owns falls to the instance')
    .action(async (name: string) => {
      await withIdentity(environment, rm, async (identity, context, options) => {
        await identity.removeUser(name, context);
        if (options.json) await environment.terminal.out(json({removed: name}));
      });
    });
  example(rm, 'weir user rm alice');
};

interface AddKeyFlags {
  readonly expires?: string;
  readonly description?: string;
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
}

export const registerKey: Register = (parent, environment) => {
  const group = parent.command('key').description('access keys of users');
  const now = () => environment.runtime.clock.nowMs();

  const add: Command = group
    .command('add USER')
    .description('make another access key')
    .option('--expires <WHEN>', 'after a time (30d), or at a date')
    .option('--description <TEXT>', 'what it is for')
    .option('--access-key-id <ID>', 'a key that exists already, with --secret-access-key')
    .option('--secret-access-key <SECRET>', 'its secret')
    .action(async (user: string, flags: AddKeyFlags) => {
      const {expires, ...rest} = flags;
      const options: KeyOptions = {...rest, ...(expires === undefined ? {} : {expiresAt: expiryOf(expires, now())})};
      await withIdentity(environment, add, async (identity, context, given) => {
        const key = await identity.addKey(user, options, context);
        await print(environment.terminal, given.json, keyJson(key), credentials(key));
      });
    });
  example(add, 'weir key add alice --expires 30d --description ci');

  const ls: Command = group
    .command('ls [USER]')
    .description('access keys, without their secrets')
    .action(async (user: string | undefined) => {
      await withIdentity(environment, ls, async (identity, context, options) => {
        const keys = await identity.listKeys(user ?? null, context);
        const rows = keys.map((key) => [key.accessKeyId, key.user, key.active ? 'active' : 'off', shownTime(key.createdAt), shownTime(key.expiresAt), key.description]);
        await print(environment.terminal, options.json, keys.map(keyJson), table(['KEY', 'USER', 'STATE', 'MADE', 'EXPIRES', 'DESCRIPTION'], rows));
      });
    });
  example(ls, 'weir key ls alice');

  const set: Command = group
    .command('set KEY')
    .description('switch a key off or on, or change its expiry')
    .option('--off', 'refuse it')
    .option('--on', 'accept it again')
    .option('--expires <WHEN>', 'after a time (30d), at a date, or never')
    .action(async (id: string, flags: {off?: boolean; on?: boolean; expires?: string}) => {
      const expiresAt = flags.expires === undefined ? undefined : flags.expires === 'never' ? null : expiryOf(flags.expires, now());
      const change = {...(flags.off ? {active: false} : flags.on ? {active: true} : {}), ...(expiresAt === undefined ? {} : {expiresAt})};
      await withIdentity(environment, set, async (identity, context, options) => {
        await print(environment.terminal, options.json, keyJson(await identity.updateKey(id, change, context)), '');
      });
    });
  example(set, 'weir key set WEIRABCDEFGHIJKLMNOP --off');

  const rm: Command = group
    .command('rm KEY')
    .description('remove an access key')
    .action(async (id: string) => {
      await withIdentity(environment, rm, async (identity, context, options) => {
        await identity.removeKey(id, context);
        if (options.json) await environment.terminal.out(json({removed: id}));
      });
    });
  example(rm, 'weir key rm WEIRABCDEFGHIJKLMNOP');
};

export const registerGroup: Register = (parent, environment) => {
  const group = parent.command('group').description('users that share policies');
  const add: Command = group
    .command('add NAME [USER...]')
    .description('make a group, or take users into one')
    .action(async (name: string, users: string[]) => {
      await withIdentity(environment, add, async (identity, context, options) => {
        const known = (await identity.listGroups(context)).find((candidate) => candidate.name === name);
        let result = known ?? (await identity.addGroup(name, context));
        for (const user of users) result = await identity.setMember(name, user, true, context);
        await print(environment.terminal, options.json, groupJson(result), '');
      });
    });
  example(add, 'weir group add analysts alice bob');

  const ls: Command = group
    .command('ls')
    .description('all groups')
    .action(async () => {
      await withIdentity(environment, ls, async (identity, context, options) => {
        const groups = await identity.listGroups(context);
        const rows = groups.map(({name, policies, inlinePolicies, members}) => [name, [...policies, ...inlinePolicies.map((inline) => `(${inline})`)].join(','), members.join(',')]);
        await print(environment.terminal, options.json, groups.map(groupJson), table(['NAME', 'POLICIES', 'MEMBERS'], rows));
      });
    });
  example(ls, 'weir group ls');

  const rm: Command = group
    .command('rm NAME [USER...]')
    .description('remove a group, or only some users from it')
    .action(async (name: string, users: string[]) => {
      await withIdentity(environment, rm, async (identity, context, options) => {
        for (const user of users) await identity.setMember(name, user, false, context);
        if (users.length === 0) await identity.removeGroup(name, context);
        if (options.json) await environment.terminal.out(json({group: name, removed: users}));
      });
    });
  example(rm, 'weir group rm analysts bob');
};

export const registerPolicy: Register = (parent, environment) => {
  const group = parent.command('policy').description('what users and groups may: IAM policy documents');

  const put: Command = group
    .command('put NAME FILE')
    .description('make or replace a policy from a JSON document (- reads standard input); with --user or --group it is theirs alone')
    .option('--user <NAME>', 'a policy of this user alone')
    .option('--group <NAME>', 'a policy of this group alone')
    .action(async (name: string, file: string, flags: {user?: string; group?: string}) => {
      const text = await readDocument(environment, file);
      await withIdentity(environment, put, async (identity, context, options) => {
        if (flags.user === undefined && flags.group === undefined) await print(environment.terminal, options.json, policyJson(await identity.putPolicy(name, text, context)), '');
        else {
          await identity.putInlinePolicy(holderOf(flags), name, text, context);
          if (options.json) await environment.terminal.out(json({name, ...flags}));
        }
      });
    });
  example(put, 'weir policy put read-public policy.json', 'weir policy put home home.json --user alice');

  const get: Command = group
    .command('get NAME')
    .description('the document')
    .option('--user <NAME>', 'a policy of this user alone')
    .option('--group <NAME>', 'a policy of this group alone')
    .action(async (name: string, flags: {user?: string; group?: string}) => {
      await withIdentity(environment, get, async (identity, context) => {
        const managed = flags.user === undefined && flags.group === undefined;
        const text = managed ? (await identity.listPolicies(context)).find((policy) => policy.name === name)?.text : await identity.getInlinePolicy(holderOf(flags), name, context);
        if (text === undefined) throw new WeirError('NotFound', `there is no policy ${name}`);
        await environment.terminal.out(`${text.trimEnd()}\n`);
      });
    });
  example(get, 'weir policy get read-public');

  const ls: Command = group
    .command('ls')
    .description('all policies that can be attached')
    .action(async () => {
      await withIdentity(environment, ls, async (identity, context, options) => {
        const policies = await identity.listPolicies(context);
        await print(environment.terminal, options.json, policies.map(policyJson), table(['NAME', 'ATTACHED TO'], policies.map(({name, attachedTo}) => [name, attachedTo.join(',')])));
      });
    });
  example(ls, 'weir policy ls');

  for (const [name, attached, description] of [['attach', true, 'let users or groups do what a policy says'], ['detach', false, 'take a policy away again']] as const) {
    const command: Command = group
      .command(`${name} POLICY`)
      .description(description)
      .option('--user <NAME>', 'the user')
      .option('--group <NAME>', 'or the group')
      .action(async (policy: string, flags: {user?: string; group?: string}) => {
        await withIdentity(environment, command, async (identity, context, options) => {
          await identity.attachPolicy(holderOf(flags), policy, attached, context);
          if (options.json) await environment.terminal.out(json({policy, ...flags, attached}));
        });
      });
    example(command, `weir policy ${name} read-public --user alice`);
  }

  const rm: Command = group
    .command('rm NAME')
    .description('remove a policy')
    .option('--user <NAME>', 'a policy of this user alone')
    .option('--group <NAME>', 'a policy of this group alone')
    .action(async (name: string, flags: {user?: string; group?: string}) => {
      await withIdentity(environment, rm, async (identity, context, options) => {
        if (flags.user === undefined && flags.group === undefined) await identity.removePolicy(name, context);
        else await identity.putInlinePolicy(holderOf(flags), name, null, context);
        if (options.json) await environment.terminal.out(json({removed: name}));
      });
    });
  example(rm, 'weir policy rm read-public');
};
