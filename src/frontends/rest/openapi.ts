/** The OpenAPI 3.0 document, made from the routes themselves. */
import {toJsonSchema} from '@valibot/to-json-schema';
import type {GenericSchema} from 'valibot';
import {errorCatalogue} from '#base/errors.ts';
import type {Route} from '#frontends/rest/route.ts';
import {errorSchema} from '#frontends/rest/schemas.ts';

function schemaJson(schema: GenericSchema): object {
  const {$schema: _dialect, ...json} = toJsonSchema(schema, {target: 'openapi-3.0', errorMode: 'ignore'}) as {$schema?: string};
  return json;
}

function success(route: Route): Record<string, object> {
  if (route.result === 'nothing') return {'204': {description: 'done'}};
  if (route.result === 'bytes') return {'200': {description: 'the bytes', content: {'application/octet-stream': {schema: {type: 'string', format: 'binary'}}}}};
  if (route.result === 'lines') return {'200': {description: 'one JSON value a line', content: {'application/x-ndjson': {schema: {type: 'string'}}}}};
  return {'200': {description: 'done', content: {'application/json': {schema: schemaJson(route.result)}}}};
}

function requestBody(route: Route): object {
  if (route.takesBytes) return {requestBody: {required: true, content: {'application/octet-stream': {schema: {type: 'string', format: 'binary'}}}}};
  return route.body ? {requestBody: {required: true, content: {'application/json': {schema: schemaJson(route.body)}}}} : {};
}

export function openApiDocument(routes: readonly Route[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    const operations = (paths[route.path] ??= {});
    operations[route.method.toLowerCase()] = {
      summary: route.summary,
      operationId: `${route.method.toLowerCase()}${route.path.replace('/api/v1', '').replaceAll('/', '_')}`,
      ...(route.parameters
        ? {parameters: route.parameters.map(({name, description, required, type}) => ({name, in: 'query', description, required: required === true, schema: {type: type ?? 'string'}}))}
        : {}),
      ...requestBody(route),
      responses: {...success(route), default: {$ref: '#/components/responses/Error'}},
    };
  }
  return {
    openapi: '3.0.3',
    info: {title: 'Weir', version, description: `Errors carry a code: ${Object.keys(errorCatalogue).join(', ')}.`, license: {name: 'Apache-2.0'}},
    security: [{basic: []}],
    paths,
    components: {
      securitySchemes: {basic: {type: 'http', scheme: 'basic', description: 'access key id and secret access key'}},
      responses: {Error: {description: 'what happened', content: {'application/json': {schema: schemaJson(errorSchema)}}}},
    },
  };
}
