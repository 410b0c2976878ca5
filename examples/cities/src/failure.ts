/** What frameworks and packages put on the errors they throw. */
export interface HttpError extends Error {
  readonly status?: number
  readonly statusCode?: number
  readonly code?: string
  readonly expose?: boolean
  readonly headers?: Readonly<Record<string, string>>
}

/** How the app answers an error, on every framework. What is our own fault is logged, and not told. */
export function answerTo(error: HttpError) {
  const status = error.status ?? error.statusCode ?? 500
  const told = status < 500 || error.expose === true
  if (!told) console.error(error)
  return {
    status,
    headers: { ...error.headers },
    body: {
      code: told ? (error.code ?? `HTTP_${status}`) : 'ERR_CITIES_INTERNAL',
      message: told ? error.message : 'Something went wrong here.',
    },
  }
}
