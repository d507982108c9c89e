// Writes the value of a label of this pod's host to a file. Pods can't read the labels of hosts, so
// the API is asked: `node rack.mjs FILE`, with HOST, LABEL, TOKEN_FILE and KUBERNETES_API.
import { readFileSync, writeFileSync } from 'node:fs'

const { HOST, LABEL, TOKEN_FILE, KUBERNETES_API } = process.env
const response = await fetch(`${KUBERNETES_API}/api/v1/nodes/${encodeURIComponent(HOST)}`, {
  headers: { authorization: `Bearer ${readFileSync(TOKEN_FILE, 'utf8').trim()}` },
})
if (!response.ok) throw new Error(`the API says ${response.status} of host ${HOST}`)
const { metadata } = await response.json()
const rack = metadata.labels?.[LABEL]
if (rack === undefined) throw new Error(`host ${HOST} has no label ${LABEL}`)
writeFileSync(process.argv[2], rack)
console.log(`host ${HOST} is in ${rack}`)
