import { storeContract } from './contract.js'
import { memoryWorld } from '../subjects.js'

storeContract('memory', memoryWorld)
