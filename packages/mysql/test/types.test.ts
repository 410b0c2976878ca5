import type { Request } from 'express'
import type { FastifyRequest } from 'fastify'
import type Koa from 'koa'
import type { Context } from 'koa'
import type { FieldPacket, ResultSetHeader, RowDataPacket } from 'mysql2'
import { describe, expectTypeOf, it } from 'vitest'
import { mysqlPool as expressMysqlPool, transactional as expressTransactional } from '../src/express.js'
import { transactional as fastifyTransactional } from '../src/fastify.js'
import type { AttachOptions } from '../src/http/attach.js'
import {
  type DrainReport,
  type Loader,
  type Locate,
  MysqlConnection,
  MysqlPool,
  type MysqlPoolEvents,
  type MysqlPoolOptions,
  MysqlSession,
  type Parameter,
  type Queryable,
  type ShardedMysql,
  type Transaction,
  type TransactionOptions,
} from '../src/index.js'
import { mysqlPool as koaMysqlPool } from '../src/koa.js'

interface User extends RowDataPacket {
  id: number
  name: string
}

describe('the types', () => {
  it('give the shapes of mysql2, typed as there', () => {
    type Pool = MysqlPool
    expectTypeOf<Pool['query']>().toBeCallableWith('SELECT ?', [1], { timeout: '1s' })
    const rows = (pool: Pool) => pool.query<User[]>('SELECT 1')
    expectTypeOf(rows).returns.resolves.toEqualTypeOf<[User[], FieldPacket[]]>()
    const written = (pool: Pool) => pool.execute<ResultSetHeader>('DO 0')
    expectTypeOf(written).returns.resolves.toEqualTypeOf<[ResultSetHeader, FieldPacket[]]>()
    const one = (pool: Pool) => pool.one<User>('SELECT 1')
    expectTypeOf(one).returns.resolves.toEqualTypeOf<User | undefined>()
    const stream = (pool: Pool) => pool.stream<{ id: number }>('SELECT 1')
    expectTypeOf(stream).returns.toEqualTypeOf<AsyncGenerator<{ id: number }, void>>()
    const loader = (pool: Pool) => pool.loader<User, number>({ table: 'user' })
    expectTypeOf(loader).returns.toEqualTypeOf<Loader<User, number>>()
    expectTypeOf<Parameters<Loader<User, number>['load']>>().toEqualTypeOf<[number]>()
  })

  it('let one function take a pool, a session, a connection or a transaction', () => {
    for (const _ of [MysqlPool, MysqlSession, MysqlConnection]) {
      expectTypeOf<InstanceType<typeof _>>().toExtend<Queryable>()
    }
    expectTypeOf<Transaction>().toExtend<Queryable>()
  })

  it('give what a transaction or a connection is used for, at once or as a promise', () => {
    const now = (pool: MysqlPool) => pool.transaction(() => 5)
    const later = (pool: MysqlPool) => pool.transaction(async (tx) => tx.threadId)
    expectTypeOf(now).returns.resolves.toEqualTypeOf<number>()
    expectTypeOf(later).returns.resolves.toEqualTypeOf<number>()
    const held = (pool: MysqlPool) => pool.withConnection(async (connection) => connection)
    expectTypeOf(held).returns.resolves.toEqualTypeOf<MysqlConnection>()
    expectTypeOf<ReturnType<MysqlPool['drain']>>().resolves.toEqualTypeOf<DrainReport>()
    expectTypeOf<'snapshot'>().not.toExtend<TransactionOptions['isolation']>()
  })

  it('know the options, durations among them, and that values are scalars or lists', () => {
    expectTypeOf({
      host: 'db',
      connectionLimit: 5,
      timeout: '2s',
      reads: false,
    } as const).toExtend<MysqlPoolOptions>()
    expectTypeOf({ timeout: 'soon' } as const).not.toExtend<MysqlPoolOptions>()
    expectTypeOf({ insideTransaction: 'ignore' } as const).not.toExtend<MysqlPoolOptions>()
    expectTypeOf<[1, 'a', null, Date]>().toExtend<readonly Parameter[]>()
    expectTypeOf<{ a: 1 }>().not.toExtend<Parameter>()
    expectTypeOf<'jump'>().toExtend<Locate>()
    expectTypeOf<'ring'>().not.toExtend<Locate>()
    expectTypeOf<(key: string | number | bigint) => string>().toExtend<Locate>()
    expectTypeOf({ carry: { secret: 'x' } }).toExtend<AttachOptions>()
    expectTypeOf({ carry: { cookie: 'x' } }).not.toExtend<AttachOptions>()
  })

  it('type the events, and the shards', () => {
    expectTypeOf<MysqlPoolEvents['leak'][0]['stack']>().toEqualTypeOf<string | undefined>()
    const listen = (pool: MysqlPool) =>
      pool.on('slow', (event) => {
        expectTypeOf(event.runMs).toBeNumber()
        expectTypeOf(event).not.toHaveProperty('sql')
      })
    expectTypeOf(listen).returns.toExtend<MysqlPool>()
    const all = (shards: ShardedMysql) => shards.all(async (shard, name) => ({ shard, name }))
    expectTypeOf(all).returns.resolves.toEqualTypeOf<{ shard: MysqlPool; name: string }[]>()
  })

  it("type what each framework's handlers see", () => {
    expectTypeOf<Request['mysql']>().toEqualTypeOf<MysqlSession>()
    expectTypeOf<FastifyRequest['mysql']>().toEqualTypeOf<MysqlSession>()
    expectTypeOf<Koa.DefaultState['mysql']>().toEqualTypeOf<MysqlSession>()
    expectTypeOf(expressMysqlPool).returns.toExtend<import('express').RequestHandler>()
    expectTypeOf(koaMysqlPool).returns.toExtend<import('koa').Middleware>()
    type Named = Request<{ id: string }>
    expectTypeOf(expressTransactional<Named>)
      .parameter(0)
      .parameter(1)
      .toEqualTypeOf<Named>()
    type Typed = FastifyRequest<{ Params: { id: string } }>
    expectTypeOf(fastifyTransactional<Typed>)
      .parameter(0)
      .parameter(1)
      .toEqualTypeOf<Typed>()
    expectTypeOf<Context>().toBeObject()
  })
})
