import { defineConfig } from 'vitepress'

const PACKAGES = ['cluster', 'cache', 'mysql', 'limiter', 'offload', 'memory', 'metrics']

export default defineConfig({
  title: 'Spillway',
  description: 'Small packages that let an existing Node.js app carry millions of users',
  cleanUrls: true,
  // The packages' READMEs live beside their code, outside of the site.
  ignoreDeadLinks: [/packages\/[a-z]+\/README/, /CONTRIBUTING/, /examples\//],
  themeConfig: {
    search: { provider: 'local' },
    nav: [
      { text: 'Guide', link: '/guide/' },
      { text: 'Benchmarks', link: '/benchmarks' },
      { text: 'Reference', link: '/reference/errors' },
    ],
    sidebar: [
      {
        text: 'Guide',
        items: [
          { text: 'Begin', link: '/guide/' },
          { text: 'Put together', link: '/guide/composing' },
          { text: 'Into production', link: '/guide/production' },
          { text: 'From one machine to many', link: '/scaling' },
        ],
      },
      { text: 'Packages', items: PACKAGES.map((name) => ({ text: name, link: `/packages/${name}` })) },
      {
        text: 'Reference',
        items: [
          { text: 'Errors', link: '/reference/errors' },
          { text: 'Channels', link: '/reference/channels' },
          { text: 'Supported versions', link: '/reference/support' },
          { text: 'Cases', link: '/reference/cases' },
          { text: 'Benchmarks', link: '/benchmarks' },
        ],
      },
      {
        text: 'Decisions',
        items: [
          { text: 'Three native adapters', link: '/decisions/adapters' },
          { text: 'A private kit, inlined', link: '/decisions/kit' },
          { text: 'No package knows another', link: '/decisions/composition' },
          { text: 'The engine of offload', link: '/decisions/offload-engine' },
          { text: 'The last word on a refusal', link: '/decisions/refusals' },
          { text: 'Connections move, processes go', link: '/decisions/cluster' },
          { text: 'What the memory monitor believes', link: '/decisions/memory' },
          { text: 'Choices of the cache', link: '/decisions/cache' },
          { text: 'The house inside', link: '/decisions/house' },
        ],
      },
    ],
  },
})
