import { afterEach, describe, expect, it } from 'vitest'
import { reportHtml, reportText } from '../../src/index.js'
import { closeAll, stand } from '../support.js'

afterEach(closeAll)

describe('the report', () => {
  it('is plain data, text, and HTML that no name can break out of', () => {
    const { monitor, system } = stand()
    system.resources = ['Timeout', 'TCPSocketWrap', 'Timeout', '<script>alert(1)</script>']
    const report = monitor.report()
    expect(JSON.parse(JSON.stringify(report))).toEqual(report)
    expect(report.resources).toMatchObject({ Timeout: 2, TCPSocketWrap: 1 })
    expect(report.spaces.length).toBeGreaterThan(3)
    expect(report.listeners.process).toBeGreaterThan(0)
    const text = reportText(report)
    expect(text).toContain('All is well')
    expect(text).toContain('100.0 MB of 8.0 GB in use (ram)')
    const html = reportHtml(report)
    expect(html).toContain('&lt;script&gt;')
    expect(html).not.toContain('<script>')
  })
})
