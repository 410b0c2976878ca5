import { FakeClock } from '@spillway/kit/testing'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { Deadline, Deadlines } from '../src/connection/deadlines.js'
import { RowFeed } from '../src/connection/row-feed.js'
import { resolveOptions } from '../src/connection/servers.js'
import { classify, isConnectionFailure } from '../src/errno.js'
import { jump, MysqlPool, rendezvous, ShardedMysql } from '../src/index.js'
import { hintOf } from '../src/statement/explain.js'
import { Backoff } from '../src/server-pool/backoff.js'
import { Callers } from '../src/server-pool/acquire-traces.js'
import { Histogram } from '../src/statement/histogram.js'
import { scan } from '../src/statement/scanner.js'
import { Statements } from '../src/statement/statement.js'
import { format, prepare } from '../src/statement/values.js'
import { Position } from '../src/topology/position.js'

class Probe extends Deadline {
  fired = 0
  expire(): void {
    this.fired++
  }
}

describe('Deadlines', () => {
  it('fires each once, never early, at most a tick late, and not when it was removed', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 20_000 }), fc.boolean()), { maxLength: 60 }),
        (plan) => {
          const clock = new FakeClock()
          const deadlines = new Deadlines(clock)
          const probes = plan.map(([at, removed]) => ({ probe: new Probe(), at: clock.now() + at, removed }))
          for (const { probe, at } of probes) deadlines.add(probe, at)
          for (const { probe, removed } of probes) if (removed) deadlines.remove(probe)
          const start = clock.now()
          while (clock.now() < start + 20_100) {
            clock.advance(37)
            deadlines.run()
            for (const { probe, at, removed } of probes) {
              if (removed || clock.now() < at) expect(probe.fired).toBe(0)
              else if (clock.now() >= at + 37 + 20) expect(probe.fired).toBe(1)
            }
          }
          expect(deadlines.size).toBe(0)
          deadlines.stop()
        },
      ),
      { numRuns: 30 },
    )
  })
})

describe('Deadlines on their own timers', () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  it.each([
    [1, 2],
    [5, 6],
    [99, 100],
    [500, 511],
    [30_000, 30_011],
  ])('one of %i ms fires within %i ms', (timeout, latest) => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const clock = new FakeClock(1_000_000.25)
    const deadlines = new Deadlines(clock)
    // Another one has the timers run already, out of step.
    deadlines.add(new Probe(), clock.now() + 60_000)
    const pass = (milliseconds: number) => {
      clock.advance(milliseconds)
      vi.advanceTimersByTime(milliseconds)
    }
    for (let i = 0; i < 7; i++) pass(1)
    const probe = new Probe()
    deadlines.add(probe, clock.now() + timeout)
    let after = 0
    for (; probe.fired === 0 && after < timeout + 100; after++) pass(1)
    expect(after).toBeGreaterThanOrEqual(timeout)
    expect(after).toBeLessThanOrEqual(latest)
    // The quick timer ends with the last short deadline.
    pass(20)
    expect(vi.getTimerCount()).toBe(1)
    deadlines.stop()
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('Callers', () => {
  it('take all stacks of an app that asks seldom, and a bounded number of one that asks all the time', () => {
    const callers = new Callers()
    const asking = (now: number) => callers.above(asking, now)
    let taken = 0
    for (let i = 0; i < 10_000; i++) if (asking(0) !== undefined) taken++
    expect(taken).toBe(100)
    for (let now = 2; now < 2_000; now += 2) expect(asking(now)?.()).toContain('units.test')
    taken = 0
    for (let i = 0; i < 50_000; i++) if (asking(10_000 + i / 50) !== undefined) taken++
    expect(taken).toBeLessThanOrEqual(1_100)
    expect(taken).toBeGreaterThan(1_000)
  })
})

describe('RowFeed', () => {
  it('gives the rows in order, and holds the source back while it has enough', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.oneof(fc.constant(-1), fc.integer({ min: 1, max: 40 }))),
        (readAhead, steps) => {
          let paused = false
          const feed = new RowFeed<number>(
            {
              pause: () => (paused = true),
              resume: () => (paused = false),
            },
            readAhead,
          )
          let sent = 0
          let got = 0
          for (const burst of steps) {
            if (burst === -1) {
              const row = feed.take()
              expect(row).toBe(sent > got ? got : undefined)
              if (row !== undefined) got++
              // It goes on long before the store is empty.
              if (feed.size <= readAhead / 2) expect(paused).toBe(false)
            } else if (!paused) {
              // A burst is what one read of the socket brings; it is not cut.
              for (let i = 0; i < burst; i++) feed.push(sent++)
              expect(paused).toBe(feed.size >= readAhead)
            }
            expect(feed.size).toBe(sent - got)
          }
          feed.end()
          expect(paused).toBe(false)
          while (got < sent) expect(feed.take()).toBe(got++)
          expect(feed.take()).toBeUndefined()
        },
      ),
    )
  })

  it('a failure is heard at once, whatever is in store, and is the first one', async () => {
    const feed = new RowFeed<number>({ pause() {}, resume() {} }, 5)
    feed.push(1)
    feed.fail(new Error('first'))
    feed.fail(new Error('second'))
    expect(() => feed.take()).toThrow('first')
    await feed.change()
    const waiting = new RowFeed<number>({ pause() {}, resume() {} }, 5)
    const changed = waiting.change()
    waiting.push(7)
    await changed
    expect(waiting.take()).toBe(7)
    const ended = waiting.change()
    waiting.end()
    await ended
    waiting.push(8)
    expect(waiting.take()).toBeUndefined()
  })
})

describe('scan', () => {
  it('finds placeholders only where they are some', () => {
    const { marks, pieces } = scan(
      "SELECT '?', \"?\", `?`, ? /* ? */ -- ?\n, ?? # ?\n WHERE a IN (?) AND b = 'it''s ?' AND c = '\\'?' AND d = ?",
    )
    expect(marks.map(({ name, inList }) => [name, inList])).toEqual([
      [false, false],
      [true, false],
      [false, true],
      [false, false],
    ])
    expect(pieces).toHaveLength(5)
  })

  it('takes any text apart without losing a character', () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom('?', "'", '"', '`', '\\', '-', ' ', '/', '*', '#', '\n', 'a', '(', ')', ';'),
        }),
        (sql) => {
          const { pieces, marks } = scan(sql)
          expect(pieces).toHaveLength(marks.length + 1)
          const again = pieces.reduce((text, piece, i) => text + (marks[i - 1]!.name ? '??' : '?') + piece)
          expect(again).toBe(sql)
        },
      ),
    )
  })
})

describe('Statement', () => {
  const of = (sql: string) => new Statements().of(sql)

  it('knows a plain read, and takes what is unclear for none', () => {
    for (const sql of [
      'SELECT 1',
      ' select * from t where a = ?',
      '(SELECT 1) UNION (SELECT 2)',
      "SELECT 'for update'",
      '/* x */ SELECT 1',
    ]) {
      expect(of(sql).isRead, sql).toBe(true)
    }
    for (const sql of [
      'SELECT * FROM t FOR UPDATE',
      'SELECT * FROM t LOCK IN SHARE MODE',
      'SELECT 1 INTO @x',
      'SELECT @x',
      'SELECT @x := 1',
      "SELECT GET_LOCK('a', 1)",
      'SELECT LAST_INSERT_ID()',
      'INSERT INTO t VALUES (1)',
      'SHOW TABLES',
      'WITH a AS (SELECT 1) DELETE FROM t',
      'SELECT 1; DELETE FROM t',
      '/*!50000 DELETE FROM t */',
      'CALL p()',
      'SELECT NEXTVAL(s)',
      'SELECT * FROM t FOR SHARE',
      'DO 0',
      'EXPLAIN SELECT 1',
    ]) {
      expect(of(sql).isRead, sql).toBe(false)
    }
  })

  it('gives statements that differ in values one fingerprint, without any of the values', () => {
    const one = of("SELECT * FROM t WHERE a = 12 AND b = 'secret' AND c IN (1, 2, 3)").fingerprint
    expect(of("select *  from t WHERE a = 7.5 AND b = 'x' AND c IN (1,2)").fingerprint).toBe(one)
    expect(one).not.toMatch(/12|SECRET/i)
  })
})

describe('values', () => {
  const text = (sql: string, values: unknown[]) => format(sql, scan(sql), values, 'Z', 'escaped')

  it('S6 no string value can leave its quotes', () => {
    const unit = fc.constantFrom("'", '\\', '"', '`', '\0', '\n', '\x1a', 'a', 'é', '?')
    fc.assert(
      fc.property(fc.string({ unit }), (value) => {
        for (const how of ['escaped', 'plain', 'neutral', 'hex'] as const) {
          const sql = format('SELECT ?', scan('SELECT ?'), [value], 'Z', how)
          // In each mode it is one literal: the server, too, reads it so.
          for (const plain of how === 'plain' ? [true] : how === 'escaped' ? [false] : [false, true]) {
            const { bare, pieces } = scan(sql, plain)
            expect(bare).toBe(sql.includes('_utf8mb4 X') ? 'SELECT _UTF8MB4 X?' : 'SELECT ?')
            expect(pieces).toEqual([sql])
          }
          // A mistake about the mode would change the value, and not its end.
          if (how === 'escaped') expect(scan(sql, true).bare).toBe('SELECT ?')
        }
      }),
    )
  })

  it('writes lists, rows, names and bytes', () => {
    expect(text('SELECT ?? FROM ?? WHERE a IN (?)', ['b`c', 'd.e', [1, 'x', null]])).toBe(
      "SELECT `b``c` FROM `d`.`e` WHERE a IN (1, 'x', NULL)",
    )
    expect(
      text('INSERT INTO t VALUES ?', [
        [
          [1, true],
          [2, false],
        ],
      ]),
    ).toBe('INSERT INTO t VALUES (1, true), (2, false)')
    expect(text('SELECT ?', [new Uint8Array([0, 255])])).toBe("SELECT X'00ff'")
    expect(text('SELECT ?', [2n ** 63n])).toBe('SELECT 9223372036854775808')
  })

  it('pads lists to powers of two, with the last value', () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { minLength: 1, maxLength: 70 }), (list) => {
        const sql = 'SELECT 1 FROM t WHERE a IN (?) AND b = ?'
        const { sql: prepared, values } = prepare(sql, scan(sql), [list, 'b'])
        const count = values!.length - 1
        expect(Number.isInteger(Math.log2(count))).toBe(true)
        expect(count).toBeLessThan(list.length * 2)
        expect(values!.slice(0, list.length)).toEqual(list)
        expect(new Set(values!.slice(0, count))).toEqual(new Set(list))
        expect(prepared.match(/\?/g)).toHaveLength(count + 1)
      }),
    )
  })
})

describe('Position', () => {
  const gtids = fc.dictionary(fc.constantFrom('0', '1', '7'), fc.integer({ min: 1, max: 50 })).map(
    (all) =>
      Position.parse(
        Object.entries(all)
          .map(([domain, n]) => `${domain}-1-${n}`)
          .join(','),
      )!,
  )

  it('merges to the least position that covers both', () => {
    fc.assert(
      fc.property(gtids, gtids, gtids, (a, b, c) => {
        const both = a.merge(b)
        expect(both.covers(a) && both.covers(b)).toBe(true)
        if (c.covers(a) && c.covers(b)) expect(c.covers(both)).toBe(true)
        expect(Position.parse(both.toString())!.covers(both)).toBe(true)
      }),
    )
  })

  it('takes a set with a gap for no more than what is before the gap', () => {
    const uuid = '3e11fa47-71ca-11e1-9e33-c80aa9429562'
    const other = 'a0b1c2d3-71ca-11e1-9e33-c80aa9429562'
    const had = Position.had(`${uuid}:1-5:11-18,\n${other}:3-9`)!
    const token = (text: string) => Position.parse(text)!
    expect(had.covers(token(`${uuid}:5`))).toBe(true)
    expect(had.covers(token(`${uuid}:12`))).toBe(false)
    expect(had.covers(token(`${other}:4`))).toBe(false)
    expect(Position.had(`${uuid}:1-18`)!.covers(token(`${uuid}:12`))).toBe(true)
    expect(Position.had(`${uuid}:1`)!.covers(token(`${uuid}:1`))).toBe(true)
    // A token of MySQL 8.3's tags is not understood, and leads to the primary.
    expect(Position.parse(`${uuid}:tag:7`)).toBeUndefined()
  })

  it('reads the sets of MySQL, and nothing that could be SQL', () => {
    const uuid = '3E11FA47-71CA-11E1-9E33-C80AA9429562'
    const position = Position.parse(`${uuid}:1-5:11-18`)!
    expect(position.waitStatement(50)).toBe(
      `SELECT WAIT_FOR_EXECUTED_GTID_SET('${uuid.toLowerCase()}:1-18', 0.05) AS state`,
    )
    expect(Position.parse('0-1-42')!.waitStatement(50)).toBe(
      "SELECT MASTER_GTID_WAIT('0-1-42', 0.05) AS state",
    )
    for (const text of ["0-1-1') OR SLEEP(9) -- ", '0-1', 'x', '0-1-42;', `${uuid}:`, '0-1-1,x'])
      expect(Position.parse(text), text).toBeUndefined()
    expect(Position.parse('')!.empty).toBe(true)
  })
})

describe('classify', () => {
  it('goes by errno, not by name', () => {
    const error = (fields: object) => Object.assign(new Error('x'), fields)
    expect(classify(error({ errno: 1213 }))).toEqual({ kind: 'deadlock', retryable: true, outcome: 'none' })
    expect(classify(error({ errno: 1969 })).kind).toBe('statement-timeout')
    expect(classify(error({ code: 'ECONNRESET', errno: -104 }))).toMatchObject({
      kind: 'connection',
      outcome: 'unknown',
    })
    expect(classify(error({ code: 'ER_SOMETHING_NEW', errno: 9999 })).kind).toBe('statement')
    expect(isConnectionFailure(error({ code: 'PROTOCOL_CONNECTION_LOST' }))).toBe(true)
    expect(isConnectionFailure(error({ errno: 1064, code: 'ER_PARSE_ERROR' }))).toBe(false)
    expect(classify('nothing').kind).toBe('statement')
  })
})

describe('options', () => {
  it('take the usual recipe and a URL, and refuse what they do not know', () => {
    const { primary, replicas, options } = resolveOptions({
      host: 'db',
      user: 'u',
      password: 'p',
      database: 'd',
      connectionLimit: 5,
      queueLimit: 0,
      waitForConnections: true,
      acquireTimeout: 1_000,
      timeout: '2s',
      replicas: ['mysql://r1:3307', { host: 'r2', user: 'reader' }],
    })
    expect(primary).toEqual({
      host: 'db',
      port: 3306,
      user: 'u',
      password: 'p',
      database: 'd',
      name: 'db:3306',
    })
    expect(replicas).toEqual([
      { host: 'r1', port: 3307, user: 'u', password: 'p', database: 'd', name: 'r1:3307' },
      { host: 'r2', port: 3306, user: 'reader', password: 'p', database: 'd', name: 'r2:3306' },
    ])
    expect(options.timeout).toBe(2_000)
    expect(resolveOptions('mysql://a%40b:p%2Fw@[::1]:3310/x').primary).toMatchObject({
      host: '::1',
      port: 3310,
      user: 'a@b',
      password: 'p/w',
      database: 'x',
    })
    expect(() => new MysqlPool({ conectionLimit: 5 } as object)).toThrow(/did you mean "connectionLimit"/)
    expect(() => new MysqlPool('postgres://x')).toThrow(/mysql:/)
    expect(() => new MysqlPool({ timeout: -1 })).toThrow(RangeError)
  })

  it('the workers of a machine share its connections', async () => {
    process.env.SPILLWAY_WORKERS = '4'
    try {
      const pool = new MysqlPool({ connectionLimit: 10 })
      expect(pool.stats().limit).toBe(2)
      expect(new MysqlPool({ connectionLimit: 10, shareConnections: false }).stats().limit).toBe(10)
      await pool.close()
    } finally {
      delete process.env.SPILLWAY_WORKERS
    }
  })
})

describe('rendezvous', () => {
  const keys = Array.from({ length: 8_000 }, (_, i) => i)

  it('spreads keys evenly, and is the same for ever', () => {
    const counts = new Map<string, number>()
    for (const key of keys)
      counts.set(
        rendezvous(key, ['a', 'b', 'c', 'd']),
        (counts.get(rendezvous(key, ['a', 'b', 'c', 'd'])) ?? 0) + 1,
      )
    for (const count of counts.values()) expect(Math.abs(count - 2_000)).toBeLessThan(200)
    expect(
      ['ann', 'bob', 42, 42n, '42'].map((key) => rendezvous(key, ['one', 'two', 'three'])),
    ).toMatchInlineSnapshot(`
      [
        "two",
        "three",
        "three",
        "three",
        "three",
      ]
    `)
  })

  it('moves to a new shard only what it wins, and the plan says so', () => {
    const before = new ShardedMysql({ shards: { a: 'mysql://a', b: 'mysql://b', c: 'mysql://c' } })
    const plan = before.plan(keys, ['a', 'b', 'c', 'd'])
    for (const { to } of plan.moves) expect(to).toBe('d')
    expect(plan.moves.length + plan.staying).toBe(8_000)
    expect(Math.abs(plan.moves.length - 2_000)).toBeLessThan(200)
    expect(String(plan)).toMatch(/^\d+ of 8000 keys move \(\d+\.\d %\)\n {2}a -> d: \d+\n/)
    expect(() => before.shard('z')).toThrow(expect.objectContaining({ code: 'ERR_MYSQL_SHARD' }))
    return before.close()
  })
})

describe.each([
  ['rendezvous', rendezvous],
  ['jump', jump],
] as const)('%s', (locate, find) => {
  const anyKey = fc.oneof(fc.string(), fc.integer(), fc.maxSafeInteger(), fc.bigInt())
  const someNames = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 8 }), { minLength: 2, maxLength: 12 })

  it('B40 one SQL value has one shard, however it is said', () => {
    const names = Array.from({ length: 16 }, (_, i) => `shard-${i}`)
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.nat({ max: 5 }), (n, zeros) => {
        const sign = n < 0 ? '-' : ''
        const digits = String(Math.abs(n)).padStart(String(Math.abs(n)).length + zeros, '0')
        const said = [
          n,
          BigInt(n),
          String(n),
          `${sign}${digits}`,
          ` ${n} `,
          `${n}.0`,
          `${n}.${'0'.repeat(zeros + 1)}`,
        ]
        expect(new Set(said.map((key) => find(key, names))).size).toBe(1)
      }),
    )
    expect(find(7.5, names)).toBe(find('7.50', names))
    expect(find('18446744073709551615', names)).toBe(find(18446744073709551615n, names))
    expect(find('-0', names)).toBe(find(0, names))
    // Texts are what they are.
    const texts = [
      '7a',
      'a7',
      '',
      ' ',
      '.',
      '-',
      '+',
      '1e3',
      '0x7',
      '7.',
      '.7',
      '7.7.7',
      'NaN',
      'ANN',
      'ann',
      'ann ',
    ]
    for (const text of texts) expect(names).toContain(find(text, names))
  })

  it('B40 numbers in every notation, and texts that are one value for the usual collations, have one shard', () => {
    const names = Array.from({ length: 64 }, (_, i) => `shard-${i}`)
    for (const said of [
      [1e-7, '0.0000001', '1e-7', '1E-7', '.0000001', '10e-8'],
      [1_000, '1e3', '1E3', '1.0e+3', '1000.', 1_000n],
      [0.5, '.5', '0.50', '+.5', '5e-1'],
      [0, -0, '0', '-0', '-0.0', '.0', '0e9', 0n, '000'],
      [-7, '-7', '-07', '-7.0', '-7.', ' -7', '-70e-1'],
      [1.5e-9, '0.0000000015'],
      ['ann', 'ANN', 'Ann', 'ann ', 'ann   '],
      ['é', 'e\u0301', 'É', 'e', 'E\u0301'],
      ['Straße', 'STRASSE', 'strasse'],
      ['ｕｓｅｒ１', 'user1', 'USER1'],
      ['７', 7, '7'],
      ['\u212b', '\u00c5', 'A\u030a'],
    ]) {
      const found = new Set(said.map((key) => find(key, names)))
      expect(found.size, said.map(String).join(' = ')).toBe(1)
    }
    // What a server compares as a text is no number here.
    for (const text of ['1e999999999', 'e', '.', '1e', 'e1', '1e1e1', '0x7', '-', '+e1']) {
      expect(names).toContain(find(text, names))
    }
    // All the digits that a key may have.
    expect(find('9'.repeat(3_000), names)).toBe(find(`0${'9'.repeat(3_000)}`, names))
  })

  it('B40 what is no key is refused', async () => {
    const names = ['a', 'b']
    const none = [
      undefined,
      null,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      2 ** 53,
      {},
      [],
      [7],
      true,
      false,
      Symbol('7'),
      () => 7,
      new Date(0),
      Buffer.from('7'),
      'x'.repeat(10_000),
    ]
    await using shards = new ShardedMysql({ shards: { a: 'mysql://a', b: 'mysql://b' }, locate })
    await using own = new ShardedMysql({ shards: { a: 'mysql://a' }, locate: () => 'a' })
    for (const key of none as never[]) {
      for (const act of [
        () => find(key, names),
        () => shards.forKey(key),
        () => shards.shardOf(key),
        () => shards.groupByShard(['x', key]),
        () => shards.plan([key], names),
        () => own.forKey(key),
      ]) {
        expect(act).toThrow(expect.objectContaining({ name: 'TypeError', code: 'ERR_MYSQL_SHARD' }))
      }
    }
  })

  it('a new last shard takes keys and moves none between the old ones; taking it away gives them back', () => {
    fc.assert(
      fc.property(someNames, fc.array(anyKey, { minLength: 1, maxLength: 50 }), (names, keys) => {
        const old = names.slice(0, -1)
        for (const key of keys) {
          const before = find(key, old)
          const after = find(key, names)
          expect(old).toContain(before)
          expect([before, names.at(-1)]).toContain(after)
          expect(find(key, old)).toBe(before)
        }
      }),
    )
  })

  it('the new shard takes its fair share, and so does every old one of what stays', () => {
    const keys = Array.from({ length: 20_000 }, (_, i) => `user:${i}`)
    const five = ['a', 'b', 'c', 'd', 'e']
    const shards = new ShardedMysql({
      locate,
      shards: Object.fromEntries(five.slice(0, 4).map((name) => [name, `mysql://${name}`])),
    })
    const plan = shards.plan(keys, five)
    // A fifth, within six standard deviations of a fair die.
    expect(Math.abs(plan.moves.length - 4_000)).toBeLessThan(6 * Math.sqrt(20_000 * 0.2 * 0.8))
    const left = new Map(five.map((name) => [name, 0]))
    for (const key of keys) left.set(find(key, five), left.get(find(key, five))! + 1)
    for (const count of left.values())
      expect(Math.abs(count - 4_000)).toBeLessThan(6 * Math.sqrt(20_000 * 0.2 * 0.8))
    return shards.close()
  })
})

describe('rendezvous', () => {
  it('any shard may go: only its own keys move', () => {
    const names = ['a', 'b', 'c', 'd']
    for (const gone of names) {
      const rest = names.filter((name) => name !== gone)
      for (let key = 0; key < 500; key++) {
        const before = rendezvous(key, names)
        if (before !== gone) expect(rendezvous(key, rest)).toBe(before)
      }
    }
  })
})

describe('jump', () => {
  const numbered = (count: number) => Array.from({ length: count }, (_, i) => String(i))

  it('gives what the published algorithm gives', () => {
    // From the tests of ClickHouse and of several libraries; the key of a string is FNV-1a.
    for (const [key, count, expected] of [
      [1, 1, 0],
      [42, 57, 43],
      [256, 1024, 520],
      [3735883980, 1, 0],
      [3735883980, 666, 361],
      [16045690984833335023n, 255, 237],
      [0, 60, 0],
      [1, 60, 55],
      [2, 60, 46],
    ] as const)
      expect(jump(key, numbered(count)), `${key} of ${count}`).toBe(String(expected))
    // FNV-1a of 'foobar', from its authors' test suite.
    expect(jump('foobar', numbered(1_000))).toBe(jump(0x85944171f73967e8n, numbered(1_000)))
  })

  it('is what a ShardedMysql uses when it is told to, and other words are refused', async () => {
    const shards = { a: 'mysql://a', b: 'mysql://b', c: 'mysql://c' }
    const jumping = new ShardedMysql({ shards, locate: 'jump' })
    for (const key of ['x', 'y', 7, 8n]) expect(jumping.shardOf(key)).toBe(jump(key, ['a', 'b', 'c']))
    const own = new ShardedMysql({ shards, locate: (key) => (Number(key) < 100 ? 'a' : 'b') })
    expect([own.shardOf(5), own.shardOf(500)]).toEqual(['a', 'b'])
    expect(own.plan([5, 500], ['a', 'c'], () => 'c').moves).toHaveLength(2)
    expect(() => new ShardedMysql({ shards, locate: 'leap' as 'jump' })).toThrow(
      /"locate" must be 'rendezvous'/,
    )
    await Promise.all([jumping.close(), own.close()])
  })
})

describe('Histogram', () => {
  it('a quantile is at most a bucket above the true one', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.02, max: 10_000, noNaN: true }), { minLength: 1 }),
        (values) => {
          const histogram = new Histogram()
          for (const value of values) histogram.record(value)
          const sorted = [...values].sort((a, b) => a - b)
          for (const share of [0.5, 0.99]) {
            const exact = sorted[Math.ceil(values.length * share) - 1]!
            expect(histogram.quantile(share)).toBeGreaterThanOrEqual(exact * 0.999)
            expect(histogram.quantile(share)).toBeLessThanOrEqual(exact * 1.21)
          }
        },
      ),
    )
  })
})

describe('Backoff', () => {
  it('waits longer after each failure, up to its most', () => {
    const backoff = new Backoff(50, 1_000)
    for (let failure = 0; failure < 12; failure++) {
      backoff.fail(0, 'cause')
      const most = Math.min(1_000, 50 * 2 ** failure)
      expect(backoff.remaining(0)).toBeGreaterThanOrEqual(most / 2)
      expect(backoff.remaining(0)).toBeLessThanOrEqual(most)
    }
    backoff.reset()
    expect(backoff.pending(0)).toBe(false)
  })
})

it('a hint names the table that is read in full, and whether an index would fit', () => {
  const row = { table: 't', type: 'ALL', possible_keys: null, key: null, rows: 1_000, Extra: 'Using where' }
  expect(hintOf([row])).toBe('t is read in full, about 1000 rows: no index fits the condition')
  expect(hintOf([{ ...row, possible_keys: 'by_name' }])).toContain('chose none of by_name')
  expect(hintOf([{ ...row, type: 'ref', key: 'by_name' }])).toBeUndefined()
})
