import { readFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Server } from 'node:net'
import { createSecureContext, type SecureContextOptions, type Server as TlsServer } from 'node:tls'
import { type Duration, durationMs } from '@spillway/kit'

/** Key and certificate of a server, and further options of `tls.createSecureContext`. */
export interface TlsOptions extends Omit<SecureContextOptions, 'key' | 'cert' | 'ca'> {
  /** Path of the private key (PEM), or the key itself. */
  readonly key: string | Buffer
  /** Path of the certificate with its chain (PEM), or the certificate itself. */
  readonly cert: string | Buffer
  /** Path of the authorities for client certificates (PEM), or the authorities themselves. */
  readonly ca?: string | Buffer
  /** How often the files are looked at for a change; `false`: only `reloadTls()` reads them again. Default: `'1m'`. */
  readonly watch?: Duration | false
}

const WATCH = 60_000

/** The key and certificate of a server, which can be exchanged while it runs. */
export class TlsFiles {
  readonly #options: Omit<TlsOptions, 'watch'>
  readonly #period: number
  readonly #paths: readonly string[]
  #timer: NodeJS.Timeout | undefined
  #seen = ''

  constructor({ watch = WATCH, ...options }: TlsOptions) {
    this.#options = options
    this.#period = watch === false ? 0 : (durationMs(watch) ?? WATCH)
    this.#paths = [options.key, options.cert, options.ca].filter(isPath)
  }

  /** What the files say now. @throws the error of reading them */
  read(): SecureContextOptions {
    const { key, cert, ca, ...rest } = this.#options
    return {
      ...rest,
      key: contentOf(key),
      cert: contentOf(cert),
      ...(ca === undefined ? {} : { ca: contentOf(ca) }),
    }
  }

  /**
   * New connections get the new certificate, open ones keep the old one.
   *
   * @throws when key and certificate do not fit: nothing changes
   */
  async reload(server: Server): Promise<void> {
    const fresh = this.read()
    // Checked first: with a key that does not fit the certificate, every handshake would fail.
    createSecureContext(fresh)
    if ('setSecureContext' in server) (server as TlsServer).setSecureContext(fresh)
    this.#seen = await this.#fingerprint()
  }

  watch(server: Server): void {
    if (this.#period === 0 || this.#paths.length === 0) return
    void this.#fingerprint().then((seen) => {
      this.#seen = seen
    })
    this.#timer = setInterval(() => void this.#look(server), this.#period).unref()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  async #look(server: Server): Promise<void> {
    const now = await this.#fingerprint()
    if (now === this.#seen) return
    try {
      await this.reload(server)
    } catch (error) {
      // Perhaps only one of the two files has been written yet: looked at again next time.
      process.emitWarning(`The new certificate is not used: ${(error as Error).message}`, {
        code: 'SPILLWAY_CLUSTER_TLS',
      })
    }
  }

  async #fingerprint(): Promise<string> {
    const stats = await Promise.all(
      this.#paths.map((path) =>
        stat(path).then(
          ({ mtimeMs, ino, size }) => `${mtimeMs}:${ino}:${size}`,
          () => '',
        ),
      ),
    )
    return stats.join()
  }
}

function isPath(value: string | Buffer | undefined): value is string {
  return typeof value === 'string' && !value.includes('-----BEGIN')
}

function contentOf(value: string | Buffer): string | Buffer {
  return isPath(value) ? readFileSync(value) : value
}
