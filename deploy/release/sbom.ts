/** `npm run sbom`: prints the bill of materials. */
import { billOfMaterials } from './bill.ts'

process.stdout.write(await billOfMaterials())
