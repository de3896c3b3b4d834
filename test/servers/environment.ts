/** What a connector is given, made of a runtime. */
import type {Http} from '#runtime/http.ts';
import type {Runtime} from '#runtime/runtime.ts';
import type {ConnectorEnvironment} from '#understore/under-store.ts';

const noHttp: Pick<Http, 'request'> = {
  request: () => Promise.reject(new Error('this test has not given an HTTP client')),
};

export function connectorEnvironment(runtime: Runtime, http: Pick<Http, 'request'> = noHttp, variables: Record<string, string | undefined> = {}): ConnectorEnvironment {
  return {disk: runtime.disk, clock: runtime.clock, random: runtime.random, http, variables};
}
