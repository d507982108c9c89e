/**
 * What commands print: data on standard output, everything else on standard error; colour on
 * terminals alone; a reader that has gone (`| head`) ends the program quietly.
 */
import colors from 'picocolors'
import { UserError } from '../../base/errors.ts'

export type Format = 'text' | 'wide' | 'json' | 'yaml' | 'ndjson'

export const FORMATS: readonly Format[] = ['text', 'wide', 'json', 'yaml', 'ndjson']

export function formatOf(text: string): Format {
  const found = FORMATS.find((format) => format === text)
  if (found === undefined) throw new UserError(`-o takes one of ${FORMATS.join(', ')}`, 2)
  return found
}

export interface Column<T> {
  readonly title: string
  readonly value: (row: T) => string | number
  /** Shown with `-o wide` only. */
  readonly isWide?: boolean
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

export function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

export const dim = (text: string): string => (process.stdout.isTTY ? colors.dim(text) : text)

/** Rows as a table, or as data. */
export function printRows<T extends object>(
  rows: readonly T[],
  columns: readonly Column<T>[],
  format: Format,
): void {
  if (format === 'json') print(JSON.stringify(rows, null, 2))
  else if (format === 'ndjson') for (const row of rows) print(JSON.stringify(row))
  else if (format === 'yaml') for (const line of yamlOf(rows, '')) print(line)
  else
    printTable(
      rows,
      columns.filter((column) => column.isWide !== true || format === 'wide'),
    )
}

function printTable<T>(rows: readonly T[], columns: readonly Column<T>[]): void {
  const cells = rows.map((row) => columns.map((column) => String(column.value(row))))
  const widths = columns.map((column, at) =>
    Math.max(column.title.length, ...cells.map((row) => row[at]!.length)),
  )
  const line = (row: readonly string[]) =>
    row
      .map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at]!)))
      .join('  ')
      .trimEnd()
  print(dim(line(columns.map((column) => column.title))))
  for (const row of cells) print(line(row))
}

/** Plain objects, arrays and scalars; JSON's strings are YAML's. */
export function yamlOf(value: unknown, indent: string): string[] {
  if (Array.isArray(value)) {
    if (value.length === 0) return [`${indent}[]`]
    return value.flatMap((item) => {
      const [first, ...rest] = yamlOf(item, `${indent}  `)
      return [`${indent}- ${first!.trimStart()}`, ...rest]
    })
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value)
    if (entries.length === 0) return [`${indent}{}`]
    return entries.flatMap(([key, item]) => {
      const isNested = typeof item === 'object' && item !== null && Object.keys(item).length > 0
      if (!isNested) return [`${indent}${key}: ${yamlOf(item, '')[0]!}`]
      return [`${indent}${key}:`, ...yamlOf(item, `${indent}  `)]
    })
  }
  return [`${indent}${JSON.stringify(value) ?? 'null'}`]
}
