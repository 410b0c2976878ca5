/**
 * What the app's own `route` option calls a request; `undefined` when it gives no name. The option runs when the response is
 * over: an error that left it would end the process, and a name that is no string has no place in a label.
 */
export function routeName<Request>(
  nameOf: ((request: Request) => unknown) | undefined,
  request: Request,
): string | undefined {
  if (nameOf === undefined) return undefined
  try {
    const name = nameOf(request)
    return typeof name === 'string' ? name : undefined
  } catch {
    return undefined
  }
}
