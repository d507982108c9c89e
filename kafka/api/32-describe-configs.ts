// DescribeConfigs, v1-4
// v1 synonyms (KIP-226); v3 types and documentation (KIP-569); v4 flexible
import {
  array,
  bool,
  type Infer,
  int8,
  int16,
  int32,
  nullableString,
  string,
  struct,
  type Written,
} from '../wire/schema.ts'
import { defineApi } from './define.ts'

const request = struct({
  resources: array({
    resourceType: int8(),
    resourceName: string(),
    configurationKeys: array(string(), { nullable: true }),
  }),
  includeSynonyms: bool(),
  includeDocumentation: bool({ since: 3 }),
})

const response = struct({
  throttleTimeMs: int32({ default: 0 }),
  results: array({
    errorCode: int16(),
    errorMessage: nullableString(),
    resourceType: int8(),
    resourceName: string(),
    configs: array({
      name: string(),
      value: nullableString(),
      readOnly: bool(),
      configSource: int8({ default: -1, ignorable: true }),
      isSensitive: bool(),
      synonyms: array(
        {
          name: string(),
          value: nullableString(),
          source: int8(),
        },
        { ignorable: true },
      ),
      configType: int8({ since: 3, ignorable: true }),
      documentation: nullableString({ since: 3, ignorable: true }),
    }),
  }),
})

export type DescribeConfigsRequest = Infer<typeof request>
export type DescribeConfigsResponse = Written<typeof response>

export const describeConfigs = defineApi({
  key: 32,
  name: 'DescribeConfigs',
  versions: [1, 4],
  flexibleSince: 4,
  request,
  response,
  async handle(context, request) {
    const response = await context.broker.configs.describeConfigs(context, request)
    return {
      ...response,
      results: response.results.map((result) => ({
        ...result,
        configs: result.configs.map((config) => ({
          ...config,
          synonyms: request.includeSynonyms ? config.synonyms : [],
          documentation: request.includeDocumentation ? config.documentation : null,
        })),
      })),
    }
  },
})
