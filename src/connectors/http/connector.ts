/** `http://host/directory/` and `https://`: web servers, read-only. */
import {trusting} from '#understore/trusting.ts';
import type {Connector} from '#understore/under-store.ts';
import {options, readConfig} from '#connectors/http/config.ts';
import {percentDecode} from '#connectors/http/index-page.ts';
import {WebClient} from '#connectors/http/web-client.ts';
import {WebStore} from '#connectors/http/web-store.ts';

export const connector: Connector = {
  schemes: ['http', 'https'],
  options,

  describe(uri, given) {
    const {base} = readConfig(uri, given);
    const last = base.pathname.split('/').at(-2) ?? '';
    return {place: base.href, defaultName: Buffer.from(percentDecode(last), 'latin1').toString('utf8') || base.hostname};
  },

  async open(uri, given, environment) {
    const config = readConfig(uri, given);
    const http = given['caFile'] ? await trusting(environment, given['caFile']) : environment.http;
    return new WebStore(new WebClient(http, config.base.origin, config.authorization), config);
  },
};
