import { parentPort } from 'node:worker_threads'
import * as tasks from './tasks.mjs'

parentPort.on('message', ({ id, name, input }) => parentPort.postMessage({ id, value: tasks[name](input) }))
parentPort.postMessage('ready')
