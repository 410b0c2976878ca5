/** What `GET /` answers: every route, and how to try it. */
export const ROUTES = Object.freeze({
  'GET /cities?q=ber&limit=10': 'cities by the beginning of their name, the largest first; cached',
  'GET /cities/2950159': 'a city and its check-ins; the response is cached until somebody checks in',
  'GET /cities/2950159/nearest?limit=5': 'its neighbours',
  'POST /cities/2950159/checkins {"who":"Ada"}': 'check in; the next read sees it',
  'GET /report?country=DE&groups=12': 'where a country lives: heavy arithmetic, in a thread',
  'GET /healthz': 'the process answers',
  'GET /readyz': 'it takes requests: 503 while draining or short of memory',
  'GET /metrics': 'Prometheus, for all workers',
  'GET /dashboard': 'the same, live, for people',
})
