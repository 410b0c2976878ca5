import type { Handler, Routes } from './frameworks.js'

/** Routes that count how often their handler runs. */
export function counted() {
  let runs = 0
  const handler: Handler = () => {
    runs++
    return {}
  }
  const routes: Routes = { 'GET /': handler, 'POST /': handler }
  return { handler, routes, runs: () => runs }
}
