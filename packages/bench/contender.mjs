// One contender of one scenario, in its own process: answers each `{ roundMs }` with one sample.
const [, , file, index, name] = process.argv

try {
  const { scenarios } = await import(file)
  const { contenders, warmMs = 0 } = scenarios[Number(index)]
  const contender = await contenders[name]()
  process.on('message', async (message) => {
    if (message.close) {
      await contender.close?.()
      process.exit(0)
    }
    try {
      globalThis.gc?.()
      if (warmMs > 0) await contender.run(warmMs)
      const cpu = process.cpuUsage()
      const start = performance.now()
      const { ops, ...figures } = await contender.run(message.roundMs)
      const elapsed = performance.now() - start
      const { user, system } = process.cpuUsage(cpu)
      process.send({
        sample: { perSecond: (ops / elapsed) * 1_000, cpuUs: (user + system) / ops, ...figures },
      })
    } catch (error) {
      process.send({ error: error?.stack ?? String(error) })
    }
  })
  process.send({ ready: true })
} catch (error) {
  process.send({ error: error?.stack ?? String(error) }, () => process.exit(1))
}
