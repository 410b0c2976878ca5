// The older majors, installed under another name. They are the same to the types we use.
declare module 'express4' {
  export { default } from 'express'
}

declare module 'koa2' {
  export { default } from 'koa'
}
