import assert from 'node:assert/strict'
import { complaintAbout, keepWhatRuns } from './bill.ts'

const component = (name: string, version: string) => ({ name, version, type: 'library' })
const manifest = {
  name: 'odradek',
  version: '1.0.0',
  dependencies: { '@a/b': '2.0.0' },
}
const bill = (...components: ReturnType<typeof component>[]) => ({
  bomFormat: 'CycloneDX',
  metadata: { component: component('odradek', '1.0.0') },
  components,
})

describe('deploy/release/bill', () => {
  it('keeps what runs, also where development needs it too', () => {
    const at = (name: string) => ({
      ...component(name, '1.0.0'),
      'bom-ref': name,
    })
    const all = {
      ...bill(at('a'), at('tool')),
      metadata: { component: { ...component('odradek', '1.0.0'), 'bom-ref': 'us' } },
      dependencies: [
        { ref: 'us', dependsOn: ['a', 'tool'] },
        { ref: 'tool', dependsOn: ['a'] },
      ],
    }
    const packages = {
      'node_modules/a': { version: '1.0.0' },
      'node_modules/tool': { version: '1.0.0', dev: true },
    }
    keepWhatRuns(all, { packages })
    assert.deepEqual(
      all.components.map(({ name }) => name),
      ['a'],
    )
    assert.deepEqual(all.dependencies, [{ ref: 'us', dependsOn: ['a'] }])
  })

  it('names what runs, in the versions of package.json', () => {
    assert.equal(complaintAbout(bill(component('@a/b', '2.0.0')), manifest), undefined)
    const grouped = { ...component('b', '2.0.0'), group: '@a' }
    assert.equal(complaintAbout(bill(grouped), manifest), undefined)
    assert.match(complaintAbout(bill(component('@a/b', '2.0.1')), manifest) ?? '', /not 2\.0\.0/)
    assert.match(complaintAbout(bill(), manifest) ?? '', /@a\/b is undefined/)
  })
})
