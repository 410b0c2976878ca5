import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')

/** Collects the garbage of the whole heap. */
export const collect = runInNewContext('gc') as () => void
