import { memoryWorld } from '../subjects.js'
import { storeContract } from './contract.js'

storeContract('memory', memoryWorld)
