import { storeContract } from './contract.js'
import { clusterWorld } from './subjects.js'

storeContract('the primary of node:cluster', clusterWorld)
