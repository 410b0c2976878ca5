import { scryptSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hashPassword, verifyPassword } from '../../src/ready/password.js'

const password = 'correct horse'
const hash = hashPassword({ password, logN: 4 })
const [head, salt, sum] = (() => {
  const [, name, cost, salt = '', sum = ''] = hash.split('$')
  return [`$${name}$${cost}`, salt, sum] as const
})()
const others = ['', 'x', 'correct horsf', 'a', 'b', 'c', 'd', 'e', 'f', 'g']
/** A hash of so many bytes, as scrypt would make it: the beginning of the longer one. */
const phc = (bytes: number, saltBytes = 16) => {
  const grain = Buffer.alloc(saltBytes, 7)
  const sum = scryptSync(password, grain, Math.max(bytes, 1), { N: 16, r: 8, p: 1 })
  const text = (buffer: Buffer) => buffer.toString('base64').replaceAll('=', '')
  return `$scrypt$ln=4,r=8,p=1$${text(grain)}$${text(sum.subarray(0, bytes))}`
}

describe('a stored hash', () => {
  it('S17 cut to any length below 16 bytes accepts no password at all', () => {
    for (let length = 0; length < 22; length++) {
      const cut = `${head}$${salt}$${sum.slice(0, length)}`
      for (const guess of [password, ...others]) {
        expect(verifyPassword({ password: guess, hash: cut }), `${length}: ${guess}`).toBe(false)
      }
    }
    for (let bytes = 0; bytes < 16; bytes++) {
      for (let guess = 0; guess < 300; guess++) {
        expect(verifyPassword({ password: `guess ${guess}`, hash: phc(bytes) })).toBe(false)
      }
      expect(verifyPassword({ password, hash: phc(bytes) })).toBe(false)
    }
  })

  it('S17 of 16 to 64 bytes accepts its password, and no other', () => {
    for (const bytes of [16, 20, 32, 64]) {
      expect(verifyPassword({ password, hash: phc(bytes) }), String(bytes)).toBe(true)
      expect(verifyPassword({ password: 'x', hash: phc(bytes) })).toBe(false)
    }
    expect(verifyPassword({ password, hash: phc(65) })).toBe(false)
    expect(verifyPassword({ password, hash: phc(32, 8) })).toBe(true)
    expect(verifyPassword({ password, hash: phc(32, 7) })).toBe(false)
    expect(verifyPassword({ password, hash: phc(32, 0) })).toBe(false)
  })

  it('S17 changed anywhere accepts no other password and never throws', () => {
    const character = fc.constantFrom(...'$=,+/0189azAZ-_ \n.'.split(''), '')
    const change = fc.tuple(fc.nat(hash.length), fc.nat(3), fc.array(character, { maxLength: 3 }))
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1, maxLength: 4 }),
        fc.constantFrom(...others),
        (changes, guess) => {
          let text = hash
          for (const [at, removed, added] of changes) {
            text = text.slice(0, at) + added.join('') + text.slice(at + removed)
          }
          // A cost that was changed to a large one only takes its time.
          fc.pre(!/ln=\d\d|ln=[89]|r=\d{2}/.test(text))
          expect(verifyPassword({ password: guess, hash: text })).toBe(false)
        },
      ),
      { numRuns: 2_000 },
    )
  })

  it('S17 with one character left over, or bits that base64 does not write, is none', () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
    // The last character carries two bits that mean nothing; they are 0 in what base64 writes.
    const twins = [...alphabet].filter((last) => {
      const text = `${head}$${salt}$${sum.slice(0, -1)}${last}`
      return verifyPassword({ password, hash: text })
    })
    expect(twins).toEqual([sum.at(-1)])
    expect(verifyPassword({ password, hash: `${hash}A` })).toBe(false)
    expect(verifyPassword({ password, hash: `${hash}AA` })).toBe(false)
  })

  it('S17 that asks for all the memory or the time there is, is none', () => {
    // Any of these would run for minutes or take gigabytes.
    for (const cost of [
      'ln=30,r=8,p=1',
      'ln=99,r=999,p=99',
      'ln=20,r=8,p=99',
      'ln=17,r=8,p=17',
      'ln=10,r=999,p=99',
      'ln=20,r=16,p=1',
      'ln=0,r=8,p=1',
      'ln=4,r=0,p=1',
      'ln=4,r=8,p=0',
    ]) {
      expect(verifyPassword({ password, hash: `$scrypt$${cost}$${salt}$${sum}` }), cost).toBe(false)
    }
    for (const cost of [
      'm=1048576,t=999,p=1',
      'm=9999999,t=1,p=1',
      'm=65536,t=65,p=1',
      'm=0,t=1,p=1',
      'm=8,t=0,p=1',
      'm=8,t=1,p=2',
      'm=8,t=1,p=0',
    ]) {
      expect(verifyPassword({ password, hash: `$argon2id$v=19$${cost}$${salt}$${sum}` }), cost).toBe(false)
    }
  })

  it('S17 of Argon2 is as long and salted as one of scrypt', () => {
    for (const [grain, rest] of [
      [salt, sum.slice(0, 6)],
      [salt, sum.slice(0, 21)],
      [salt, ''],
      ['AAAA', sum],
      ['', sum],
    ]) {
      expect(verifyPassword({ password, hash: `$argon2id$v=19$m=8,t=1,p=1$${grain}$${rest}` })).toBe(false)
    }
  })

  it('S17 is not made with a cost that could not be verified', () => {
    for (const logN of [0, 21, 1.5, -1, Number.NaN]) {
      expect(() => hashPassword({ password, logN })).toThrow(
        expect.objectContaining({ code: 'ERR_OFFLOAD_OPTION' }),
      )
    }
  })
})
