import throng from 'throng'

const [, , app, count] = process.argv
throng({ worker: () => import(app), count: Number(count), lifetime: Number.POSITIVE_INFINITY })
