import { parentPort } from 'node:worker_threads'

const tasks = await import('./tasks.mjs')

parentPort.on('message', ({ id, name, input }) => parentPort.postMessage({ id, value: tasks[name](input) }))
parentPort.postMessage('ready')
