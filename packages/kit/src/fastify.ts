/**
 * What the Fastify adapters share. Only documented plugin metadata (Fastify's Plugins reference: skip-override,
 * display name, plugin meta), so that nothing here loads Fastify.
 */

const META = Symbol.for('plugin-meta')

/**
 * Marks a plugin function as one that speaks to the scope it is registered in (its hooks and decorators are visible
 * there and below), with a name for error messages and the Fastify range it supports.
 */
// biome-ignore lint/suspicious/noExplicitAny: any plugin shape, callback or async
export function plugin<P extends (...args: any[]) => unknown>(name: string, register: P): P {
  return Object.assign(register, {
    [Symbol.for('skip-override')]: true,
    [Symbol.for('fastify.display-name')]: name,
    [META]: { name, fastify: '5.x' },
  })
}

/** The headers of a verdict on a reply, without building an intermediate object. */
export function setHeaders(
  reply: { header(name: string, value: string): unknown },
  headers: Readonly<Record<string, string>>,
): void {
  for (const name in headers) reply.header(name, headers[name]!)
}
