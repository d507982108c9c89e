/** Java's properties files, as Kafka reads them: escapes, continued lines, comments, three separators. */
import { UserError } from '../../base/errors.ts'

export interface Property {
  readonly name: string
  readonly value: string
  /** Of the first line of the entry, from 1. */
  readonly line: number
}

interface LogicalLine {
  readonly text: string
  readonly line: number
}

const ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' }

/** In the order of the file; a name may come twice (the last one counts). Throws UserError. */
export function parseProperties(text: string): Property[] {
  return logicalLines(text).map(parseEntry)
}

/** Comments and blank lines dropped, continued lines joined. */
function logicalLines(text: string): LogicalLine[] {
  const lines: LogicalLine[] = []
  let open: LogicalLine | undefined
  const natural = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/)
  natural.forEach((raw, index) => {
    const part = raw.replace(/^[ \t\f]+/, '')
    if (open === undefined && (part === '' || part.startsWith('#') || part.startsWith('!'))) return
    const joined: LogicalLine = { text: (open?.text ?? '') + part, line: open?.line ?? index + 1 }
    if (endsOpen(part)) {
      open = { text: joined.text.slice(0, -1), line: joined.line }
    } else {
      open = undefined
      lines.push(joined)
    }
  })
  if (open !== undefined) lines.push(open)
  return lines
}

/** An odd number of backslashes at the end continues the line. */
function endsOpen(part: string): boolean {
  return /(?:^|[^\\])(?:\\\\)*\\$/.test(part)
}

/** The name ends at the first '=', ':' or blank that is not escaped. */
function parseEntry({ text, line }: LogicalLine): Property {
  let end = 0
  while (end < text.length && !/[=: \t\f]/.test(text[end]!)) end += text[end] === '\\' ? 2 : 1
  const rest = text.slice(end).replace(/^[ \t\f]*[=:]?[ \t\f]*/, '')
  return { name: unescapeText(text.slice(0, end), line), value: unescapeText(rest, line), line }
}

function unescapeText(text: string, line: number): string {
  return text.replace(/\\(u[0-9a-fA-F]{4}|u|.|$)/gs, (_all, code: string) => {
    if (code === 'u') throw new UserError(`line ${line}: \\u needs four hexadecimal digits`)
    if (code.length > 1) return String.fromCharCode(Number.parseInt(code.slice(1), 16))
    return ESCAPES[code] ?? code
  })
}
