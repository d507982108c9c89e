/** `node dist/node/config/docs.js`: prints the page that documents all settings. */
import { configurationPage } from './page.ts'

process.stdout.write(configurationPage())
