import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { resolveOptions } from '../../src/connection/servers.js'
import { MysqlPool, type MysqlPoolOptions, ShardedMysql } from '../../src/index.js'

const at = (query: string) => `mysql://app:word@db.example/shop?${query}`

function refusal(options: MysqlPoolOptions | string): Error & { code: string } {
  try {
    resolveOptions(options)
  } catch (error) {
    return error as Error & { code: string }
  }
  throw new Error(`it was accepted: ${inspect(options)}`)
}

describe('the parameters of a URI', () => {
  it('B41 are honoured where mysql2 honours them', () => {
    const { options, primary } = resolveOptions(
      at(
        'connectionLimit=7&queueLimit=0&waitForConnections=false&connectTimeout=1500&idleTimeout=30000&charset=utf8mb4_bin&timezone=%2B02:00&ssl={"ca":"x"}',
      ),
    )
    expect(options).toMatchObject({
      connectionLimit: 7,
      queueLimit: 0,
      waitForConnections: false,
      connectTimeout: 1_500,
      idleTimeout: 30_000,
      timezone: '+02:00',
      charset: { names: 'NAMES utf8mb4 COLLATE utf8mb4_bin' },
    })
    expect(primary).toMatchObject({
      host: 'db.example',
      user: 'app',
      password: 'word',
      database: 'shop',
      ssl: { ca: 'x' },
    })
    // What is given beside the URI wins, wherever that stands.
    expect(resolveOptions({ uri: at('connectionLimit=7'), connectionLimit: 3 }).options.connectionLimit).toBe(
      3,
    )
    expect(resolveOptions({ primary: at('connectionLimit=7') }).options.connectionLimit).toBe(7)
    expect(resolveOptions({ primary: { uri: at('connectionLimit=7') } }).options.connectionLimit).toBe(7)
    expect(resolveOptions('mysql://h/d?timezone=+02:00').options.timezone).toBe('+02:00')
    expect(resolveOptions('mysql://h/d?socketPath=/run/x.sock').primary.socketPath).toBe('/run/x.sock')
  })

  it('B41 ask for TLS in each spelling, and never get less than they ask for', () => {
    const verified = { rejectUnauthorized: true, verifyIdentity: true }
    const spellings: Readonly<Record<string, unknown>> = {
      'ssl=true': {},
      'ssl=1': {},
      'ssl={}': {},
      'ssl={"rejectUnauthorized":true}': { rejectUnauthorized: true },
      'ssl={"rejectUnauthorized":false}': { rejectUnauthorized: false },
      'ssl=Amazon%20RDS': 'Amazon RDS',
      'ssl-mode=REQUIRED': { rejectUnauthorized: false },
      'ssl-mode=required': { rejectUnauthorized: false },
      'sslmode=require': { rejectUnauthorized: false },
      'ssl-mode=VERIFY_CA': { rejectUnauthorized: true },
      'sslmode=verify-ca': { rejectUnauthorized: true },
      'ssl_mode=VERIFY_IDENTITY': verified,
      'sslMode=VERIFY_IDENTITY': verified,
      'sslmode=verify-full': verified,
      'ssl={"rejectUnauthorized":false,"ca":"x"}&ssl-mode=VERIFY_IDENTITY': { ca: 'x', ...verified },
      'ssl-mode=REQUIRED&ssl={"rejectUnauthorized":true}': { rejectUnauthorized: true },
    }
    for (const [query, ssl] of Object.entries(spellings)) {
      const { primary, replicas } = resolveOptions({
        primary: at(query),
        replicas: ['mysql://replica', at(query)],
      })
      expect(primary.ssl, query).toEqual(ssl)
      // A replica is no less safe than its primary.
      for (const replica of replicas) expect(replica.ssl, query).toEqual(ssl)
    }
    for (const query of ['ssl=false', 'ssl=0', 'ssl-mode=DISABLED', 'sslmode=disable', '']) {
      expect(resolveOptions(at(query)).primary.ssl, query).toBeUndefined()
    }
    const refused = [
      'ssl=',
      'ssl=yes',
      'ssl=null',
      'ssl=[]',
      'ssl=2',
      'ssl="x"',
      'ssl=constructor',
      'ssl-mode=',
      'ssl-mode=PREFERRED',
      'sslmode=prefer',
      'sslmode=allow',
      'ssl-mode=nonsense',
      'ssl=true&ssl-mode=DISABLED',
      'ssl=false&ssl-mode=REQUIRED',
      'ssl=true&ssl=false',
      'ssl-mode=VERIFY_IDENTITY&ssl-mode=DISABLED',
      'ssl-mode=REQUIRED&sslmode=disable',
      'ssl_mode=VERIFY_CA&sslMode=REQUIRED',
      'useSSL=true',
      'requireSSL=true',
      'verifyServerCertificate=true',
      'tls=true',
      'tls=skip-verify',
      'TLS=true',
      'SSL=true',
      'Ssl={}',
      'ssl%20=true',
      'sslaccept=strict',
      'ssl-ca=/ca.pem',
      'ssl-cert=/cert.pem',
      'ssl-key=/key.pem',
      'SSL-CIPHER=x',
    ]
    for (const query of refused) {
      expect(refusal(at(query)), query).toMatchObject({ code: 'ERR_MYSQL_OPTION' })
      expect(refusal({ replicas: [at(query)] }), query).toMatchObject({ code: 'ERR_MYSQL_OPTION' })
    }
    expect(refusal({ uri: at('ssl=true'), driver: { ssl: false } }).message).toMatch(/"ssl"/)
    expect(refusal({ ssl: {}, driver: { ssl: undefined, uri: at('ssl=true') } })).toMatchObject({
      code: 'ERR_MYSQL_OPTION',
    })
    expect(resolveOptions({ driver: { ssl: {} } }).primary.ssl).toEqual({})
  })

  it('B41 that this package does not know are refused by name, with what to say instead', () => {
    expect(refusal(at('multipleStatements=true')).message).toMatch(
      /"multipleStatements".*unsafeMultipleStatements/,
    )
    for (const name of [
      'namedPlaceholders',
      'debug',
      'flags',
      'compress',
      'maxIdle',
      'allowPublicKeyRetrieval',
      'CONNECTIONLIMIT',
      'password',
      'user',
      'host',
    ]) {
      expect(refusal(at(`${name}=true`)).message, name).toContain(`"${name}"`)
    }
    for (const query of [
      'connectionLimit=many',
      'connectionLimit=0',
      'connectionLimit=-1',
      'connectionLimit=',
      'queueLimit=1.5',
      'waitForConnections=perhaps',
      'timezone=Mars',
      'charset=klingon',
    ]) {
      expect(refusal(at(query)), query).toMatchObject({ code: 'ERR_MYSQL_OPTION' })
    }
    expect(refusal({ replicas: ['mysql://r?connectionLimit=3'] }).message).toContain('"connectionLimit"')
  })

  it('B41 no refusal shows a secret, or a piece of one', () => {
    const secrets = ['s3cr3t', 'hunter2']
    const uris = [
      'postgres://app:s3cr3t@h/d',
      'app:s3cr3t@h/d',
      'mysql:app:s3cr3t@h/d',
      'mysql://app:s3cr3t@h:port/d',
      'mysql://app:s3cr3t@h:99999/d',
      'mysql://app:s3cr3t%@h/d',
      'mysql://app:1?s3cr3t=hunter2@h/d',
      'mysql://app:1#s3cr3t@h/d',
      'mysql://app:s3cr3t#',
      'mysql://app:1/s3cr3t@h/d',
      'mysql://app:1/s3cr3t/hunter2',
      'mysql://app:s3cr3t@h/d?ssl=hunter2',
      'mysql://app:s3cr3t@h/d?ssl-mode=hunter2',
      'mysql://app:s3cr3t@h/d?password=hunter2',
      'mysql://app:s3cr3t@h/d?connectionLimit=hunter2',
      'mysql://app:s3cr3t@h/d?charset=utf8mb4&hunter2%20s3cr3t=x',
      'mysql://app:s3cr3t@h/d\n',
      `mysql://app:s3cr3t@h/${'d'.repeat(10_000)}`,
      ' mysql://app:s3cr3t@h/d',
    ]
    for (const uri of uris) {
      for (const options of [
        uri,
        { uri },
        { primary: uri },
        { primary: { uri } },
        { replicas: [uri] },
        { replicas: [{ uri }] },
      ]) {
        const shown = inspect(refusal(options), { depth: 9, showHidden: true })
        for (const secret of secrets) expect(shown, uri).not.toContain(secret)
      }
      expect(() => new ShardedMysql({ shards: { a: uri } })).toThrow(
        expect.objectContaining({ code: 'ERR_MYSQL_OPTION' }),
      )
    }
    for (const uri of [7, null, {}, ['mysql://h'], Buffer.from('s3cr3t')]) {
      expect(refusal({ uri } as never), inspect(uri)).toMatchObject({ code: 'ERR_MYSQL_OPTION' })
    }
  })

  it('B41 a driver may not take the place of the pool', () => {
    for (const name of [
      'uri',
      'stream',
      'pool',
      'isServer',
      'queryFormat',
      'connectTimeout',
      'charsetNumber',
    ]) {
      expect(() => new MysqlPool({ driver: { [name]: 1 } })).toThrow(`"${name}"`)
    }
    expect(refusal({ timezone: 'Z', driver: { timezone: '+01:00' } }).message).toContain('"timezone"')
    expect(resolveOptions({ driver: { timezone: '+01:00', charset: 'utf8mb4_bin' } }).options).toMatchObject({
      timezone: '+01:00',
      charset: { client: 'utf8mb4' },
      driver: {},
    })
  })
})
