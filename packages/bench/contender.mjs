// Contenders of one scenario in a process, as a rule a single one: answers each `{ name, roundMs }` with one sample.
const [, , file, index, ...names] = process.argv

try {
  const { scenarios } = await import(file)
  const { contenders, shared = false, warmMs = 0 } = scenarios[Number(index)]
  const running = new Map()
  for (const name of names) running.set(name, await contenders[name]())
  process.on('message', async (message) => {
    if (message.close) {
      for (const contender of running.values()) await contender.close?.()
      process.exit(0)
    }
    try {
      const contender = running.get(message.name)
      await contender.begin?.()
      if (!shared) globalThis.gc?.()
      if (warmMs > 0) await contender.run(warmMs)
      const cpu = process.cpuUsage()
      const start = performance.now()
      const { ops, ...figures } = await contender.run(message.roundMs)
      const elapsed = performance.now() - start
      const { user, system } = process.cpuUsage(cpu)
      await contender.end?.()
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
