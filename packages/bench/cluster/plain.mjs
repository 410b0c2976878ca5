// The recipe's loop over node:cluster: fork again when one has gone. SIGUSR2: fork new ones, then disconnect the old.
import cluster from 'node:cluster'

cluster.setupPrimary({ exec: process.argv[2], args: [] })
const workers = Number(process.argv[3])
for (let i = 0; i < workers; i++) cluster.fork()
cluster.on('exit', (worker) => {
  if (!worker.exitedAfterDisconnect) cluster.fork()
})
process.on('SIGUSR2', () => {
  for (const old of Object.values(cluster.workers)) {
    cluster.fork().once('listening', () => old.disconnect())
  }
})
process.on('SIGTERM', () => process.exit(0))
