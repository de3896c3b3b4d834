/** /api/v1/users, keys, groups, memberships, policies, attachments, inline-policies: who may use the instance. */
import * as v from 'valibot';
import {toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {groupJson, keyJson, policyJson, userJson} from '#codec/rest/identity-values.ts';
import type {Holder} from '#contracts/identity-api.ts';
import type {Parameter, Route, RouteCall} from '#frontends/rest/route.ts';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const names = v.array(v.string());
const time = v.pipe(v.string(), v.isoTimestamp());
const document = v.record(v.string(), v.unknown());

const userSchema = v.object({
  name: v.string(), account: v.picklist(['own', 'instance']), accountId: v.string(), ownerId: v.string(), arn: v.string(), uid: count, active: v.boolean(), groups: names, policies: names, inlinePolicies: names,
  createdAt: v.string(),
});
const keyFields = {accessKeyId: v.string(), user: v.string(), active: v.boolean(), description: v.string(), createdAt: v.string(), expiresAt: v.optional(v.string())};
const groupSchema = v.object({name: v.string(), policies: names, inlinePolicies: names, members: names});
const policySchema = v.object({name: v.string(), document: v.object({}), attachedTo: names});

const nameParameter: Parameter = {name: 'name', description: 'of the thing', required: true};
const idParameter: Parameter = {name: 'id', description: 'the access key id', required: true};
const holderParameters: readonly Parameter[] = [{name: 'user', description: 'the user that has the policy'}, {name: 'group', description: 'or the group'}];

const holderFields = {user: v.optional(v.string()), group: v.optional(v.string())};
const newUserBody = v.strictObject({name: v.string(), account: v.optional(v.picklist(['own', 'instance'])), uid: v.optional(count), groups: v.optional(names), policies: v.optional(names)});
const userPatch = v.strictObject({active: v.optional(v.boolean())});
const newKeyBody = v.strictObject({
  user: v.string(), accessKeyId: v.optional(v.string()), secretAccessKey: v.optional(v.string()), description: v.optional(v.string()), expiresAt: v.optional(time),
});
const keyPatch = v.strictObject({active: v.optional(v.boolean()), description: v.optional(v.string()), expiresAt: v.optional(v.nullable(time))});
const membershipBody = v.strictObject({group: v.string(), user: v.string(), member: v.boolean()});
const attachmentBody = v.strictObject({policy: v.string(), ...holderFields, attached: v.boolean()});
const inlineBody = v.strictObject({...holderFields, name: v.string(), document: v.nullable(document)});

function text(call: RouteCall, name: string): string {
  const value = call.query.get(name);
  if (value === undefined) throw new WeirError('InvalidArgument', `the query has no ${name}`);
  return toText(value);
}

function holderOf({user, group}: {readonly user?: string | undefined; readonly group?: string | undefined}): Holder {
  if ((user === undefined) === (group === undefined)) throw new WeirError('InvalidArgument', 'name a user or a group');
  return user === undefined ? {group: group!} : {user};
}

export const identityRoutes: readonly Route[] = [
  {method: 'GET', path: '/api/v1/users', summary: 'all users', result: v.array(userSchema), answer: async ({identity, context}) => (await identity.listUsers(context)).map(userJson)},
  {
    method: 'POST', path: '/api/v1/users', summary: 'make a user; with policies or groups it belongs to the instance\'s account, otherwise it has one of its own', body: newUserBody, result: userSchema,
    answer: async ({identity, context, body}) => {
      const {name, account, uid, groups, policies} = body as v.InferOutput<typeof newUserBody>;
      const user = {...(account ? {account} : {}), ...(uid === undefined ? {} : {uid}), ...(groups ? {groups} : {}), ...(policies ? {policies} : {})};
      return userJson(await identity.addUser(name, user, context));
    },
  },
  {
    method: 'PATCH', path: '/api/v1/users', summary: 'switch a user off or on', parameters: [nameParameter], body: userPatch, result: userSchema,
    answer: async (call) => {
      const {active} = call.body as v.InferOutput<typeof userPatch>;
      return userJson(await call.identity.updateUser(text(call, 'name'), active === undefined ? {} : {active}, call.context));
    },
  },
  {
    method: 'DELETE', path: '/api/v1/users', summary: 'remove a user with its keys; what it owns falls to the instance', parameters: [nameParameter], result: 'nothing',
    answer: (call) => call.identity.removeUser(text(call, 'name'), call.context),
  },
  {
    method: 'GET', path: '/api/v1/keys', summary: 'access keys, without their secrets', parameters: [{name: 'user', description: 'only of this user'}], result: v.array(v.object(keyFields)),
    answer: async (call) => (await call.identity.listKeys(call.query.has('user') ? text(call, 'user') : null, call.context)).map(keyJson),
  },
  {
    method: 'POST', path: '/api/v1/keys', summary: 'make an access key; its secret is shown this once', body: newKeyBody, result: v.object({...keyFields, secretAccessKey: v.string()}),
    answer: async ({identity, context, body}) => {
      const {user, accessKeyId, secretAccessKey, description, expiresAt} = body as v.InferOutput<typeof newKeyBody>;
      const options = {
        ...(accessKeyId === undefined ? {} : {accessKeyId}), ...(secretAccessKey === undefined ? {} : {secretAccessKey}), ...(description === undefined ? {} : {description}),
        ...(expiresAt === undefined ? {} : {expiresAt: Date.parse(expiresAt)}),
      };
      return keyJson(await identity.addKey(user, options, context));
    },
  },
  {
    method: 'PATCH', path: '/api/v1/keys', summary: 'switch a key off or on, or change its expiry', parameters: [idParameter], body: keyPatch, result: v.object(keyFields),
    answer: async (call) => {
      const {active, description, expiresAt} = call.body as v.InferOutput<typeof keyPatch>;
      const change = {
        ...(active === undefined ? {} : {active}), ...(description === undefined ? {} : {description}), ...(expiresAt === undefined ? {} : {expiresAt: expiresAt === null ? null : Date.parse(expiresAt)}),
      };
      return keyJson(await call.identity.updateKey(text(call, 'id'), change, call.context));
    },
  },
  {method: 'DELETE', path: '/api/v1/keys', summary: 'remove an access key', parameters: [idParameter], result: 'nothing', answer: (call) => call.identity.removeKey(text(call, 'id'), call.context)},
  {method: 'GET', path: '/api/v1/groups', summary: 'all groups', result: v.array(groupSchema), answer: async ({identity, context}) => (await identity.listGroups(context)).map(groupJson)},
  {
    method: 'POST', path: '/api/v1/groups', summary: 'make a group', body: v.strictObject({name: v.string()}), result: groupSchema,
    answer: async ({identity, context, body}) => groupJson(await identity.addGroup((body as {name: string}).name, context)),
  },
  {method: 'DELETE', path: '/api/v1/groups', summary: 'remove a group', parameters: [nameParameter], result: 'nothing', answer: (call) => call.identity.removeGroup(text(call, 'name'), call.context)},
  {
    method: 'POST', path: '/api/v1/memberships', summary: 'take a user into a group, or out of it', body: membershipBody, result: groupSchema,
    answer: async ({identity, context, body}) => {
      const {group, user, member} = body as v.InferOutput<typeof membershipBody>;
      return groupJson(await identity.setMember(group, user, member, context));
    },
  },
  {method: 'GET', path: '/api/v1/policies', summary: 'all managed policies', result: v.array(policySchema), answer: async ({identity, context}) => (await identity.listPolicies(context)).map(policyJson)},
  {
    method: 'PUT', path: '/api/v1/policies', summary: 'make or replace a policy: an IAM policy document', body: v.strictObject({name: v.string(), document}), result: policySchema,
    answer: async ({identity, context, body}) => {
      const {name, document: value} = body as {name: string; document: object};
      return policyJson(await identity.putPolicy(name, JSON.stringify(value), context));
    },
  },
  {
    method: 'DELETE', path: '/api/v1/policies', summary: 'remove a policy that is attached to nobody', parameters: [nameParameter], result: 'nothing',
    answer: (call) => call.identity.removePolicy(text(call, 'name'), call.context),
  },
  {
    method: 'POST', path: '/api/v1/attachments', summary: 'attach a policy to a user or group, or detach it', body: attachmentBody, result: attachmentBody,
    answer: async ({identity, context, body}) => {
      const attachment = body as v.InferOutput<typeof attachmentBody>;
      await identity.attachPolicy(holderOf(attachment), attachment.policy, attachment.attached, context);
      return attachment;
    },
  },
  {
    method: 'GET', path: '/api/v1/inline-policies', summary: 'a policy that one user or group has alone', parameters: [...holderParameters, nameParameter], result: v.object({name: v.string(), document: v.object({})}),
    answer: async (call) => {
      const [user, group] = [call.query.get('user'), call.query.get('group')];
      const name = text(call, 'name');
      return {name, document: JSON.parse(await call.identity.getInlinePolicy(holderOf({user, group}), name, call.context)) as unknown};
    },
  },
  {
    method: 'PUT', path: '/api/v1/inline-policies', summary: 'set a policy that one user or group has alone; null takes it away', body: inlineBody, result: v.object({name: v.string()}),
    answer: async ({identity, context, body}) => {
      const {name, document: value, ...holder} = body as v.InferOutput<typeof inlineBody>;
      await identity.putInlinePolicy(holderOf(holder), name, value === null ? null : JSON.stringify(value), context);
      return {name};
    },
  },
];
