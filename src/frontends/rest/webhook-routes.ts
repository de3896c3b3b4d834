/** /api/v1/webhooks: where events of buckets may be sent. */
import * as v from 'valibot';
import {toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {Route} from '#frontends/rest/route.ts';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const webhookSchema = v.object({name: v.string(), arn: v.string(), url: v.string(), hasToken: v.boolean(), hasSecret: v.boolean(), backlog: count, dropped: count, lastError: v.optional(v.string())});
const webhookBody = v.strictObject({name: v.string(), url: v.string(), token: v.optional(v.string()), secret: v.optional(v.string()), certificates: v.optional(v.string())});

export const webhookRoutes: readonly Route[] = [
  {method: 'GET', path: '/api/v1/webhooks', summary: 'all webhooks, without their secrets, and what waits for them', result: v.array(webhookSchema), answer: ({files, context}) => files.listWebhooks(context)},
  {
    method: 'PUT', path: '/api/v1/webhooks', summary: 'make a webhook, or change where its events go', body: webhookBody, result: webhookSchema,
    answer: ({files, context, body}) => {
      const {name, url, token, secret, certificates} = body as v.InferOutput<typeof webhookBody>;
      return files.putWebhook(name, {url, ...(token === undefined ? {} : {token}), ...(secret === undefined ? {} : {secret}), ...(certificates === undefined ? {} : {certificates})}, context);
    },
  },
  {
    method: 'DELETE', path: '/api/v1/webhooks', summary: 'remove a webhook that no bucket names, with the events that wait for it',
    parameters: [{name: 'name', description: 'of the webhook', required: true}], result: 'nothing',
    answer: ({files, context, query}) => {
      const name = query.get('name');
      if (name === undefined) throw new WeirError('InvalidArgument', 'the query has no name');
      return files.removeWebhook(toText(name), context);
    },
  },
];
