/** How users, keys, groups and policies look in JSON: in REST answers and in the command line's `--json`. */
import type {GroupInfo, KeyInfo, NewKey, PolicyInfo, UserInfo} from '#contracts/identity-api.ts';

const isoTime = (ms: number): string => new Date(ms).toISOString();

export function userJson({createdAt, ...user}: UserInfo): Record<string, unknown> {
  return {...user, createdAt: isoTime(createdAt)};
}

/** A new key's secret is in it; nobody else has one. */
export function keyJson({createdAt, expiresAt, ...key}: KeyInfo | NewKey): Record<string, unknown> {
  return {...key, createdAt: isoTime(createdAt), ...(expiresAt === undefined ? {} : {expiresAt: isoTime(expiresAt)})};
}

export function groupJson(group: GroupInfo): Record<string, unknown> {
  return {...group};
}

export function policyJson({name, text, attachedTo}: PolicyInfo): Record<string, unknown> {
  return {name, attachedTo, document: JSON.parse(text) as unknown};
}
