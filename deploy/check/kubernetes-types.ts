/** Objects of Kubernetes as a TypeScript program: a misspelt field does not compile. */

export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly spec?: Readonly<Record<string, unknown>>
  readonly data?: Readonly<Record<string, string>>
}

/** Modules of the package kubernetes-types, by apiVersion. */
const MODULES: Readonly<Record<string, string>> = {
  v1: 'core/v1',
  'apps/v1': 'apps/v1',
  'batch/v1': 'batch/v1',
  'networking.k8s.io/v1': 'networking/v1',
  'policy/v1': 'policy/v1',
  'rbac.authorization.k8s.io/v1': 'rbac/v1',
}

export interface TypedSource {
  readonly source: string
  /** Objects with a type. */
  readonly count: number
  /** Kinds that the package does not know. */
  readonly untyped: readonly string[]
}

export function typedSource(objects: readonly KubernetesObject[]): TypedSource {
  const types = new Set<string>()
  const untyped = new Set<string>()
  const lines: string[] = []
  for (const object of objects) {
    const module = MODULES[object.apiVersion]
    if (module === undefined) {
      untyped.add(object.kind)
      continue
    }
    types.add(`import type { ${object.kind} } from 'kubernetes-types/${module}'`)
    lines.push(`export const o${lines.length}: ${object.kind} = ${JSON.stringify(object)}`)
  }
  const source = `${[...types, ...lines].join('\n')}\n`
  return { source, count: lines.length, untyped: [...untyped].sort() }
}
