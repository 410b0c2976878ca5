/** The exported classes of a module whose own name is another one. */
exports.misnamed = (module) =>
  Object.entries(module)
    .filter(([, value]) => typeof value === 'function' && /^class\b/.test(String(value)))
    .filter(([name, value]) => value.name !== name)
    .map(([name, value]) => `${name} is called ${value.name}`)
