/** The command line is invalid. */
export class UsageError extends Error {}

/** The text of `spillway --help`. */
export const HELP = `spillway: a supervisor for Node.js apps that never drops a request

  spillway start <script> [options] [-- arguments of the script]
      -i, --instances <n|max>          workers; max: one per available CPU (default: max)
      -n, --name <name>                default: the script's name
      -p, --port <port>                checked before the start, and PORT for the workers
          --env-file <file>            read again at each reload
          --max-memory-restart <size>  replace a worker above it: 300M, 1G
          --drain-timeout <time>       longest wait for requests in flight: 30s
          --drain-delay <time>         readiness says 503 for so long before a stop
          --start-timeout <time>       longest wait for a worker to be ready: 30s
          --wait-ready                 a worker is ready when it calls ready() or process.send('ready')
          --shutdown-with-message      the message "shutdown" to a worker that has drained
          --stop-signal <signal>       what the app's own handlers get after the drain (default: SIGTERM)
          --node-args <args>           for the workers' node: "--import tsx"
          --cwd <folder>               where the workers run
          --log <file>                 append the output to a file
          --json                       one JSON object per line of output
      -d, --detach                     run in the background; output to the log file
  spillway status [name] [--json]      what there is
  spillway reload [name]               replace all workers without losing a request
  spillway scale <name> <n>            change the number of workers
  spillway stop [name]                 finish what is in flight, and stop
  spillway logs [name] [--json]        follow the output of the workers
  spillway reopen [name]               open the log file again, after logrotate
  spillway tls [name]                  read the certificates of serve({ tls }) again
  spillway top [name] [--once]         workers, CPU, memory, event-loop lag, requests per second
  spillway lb nginx|haproxy [options]  a load balancer before several supervisors
          --upstream <host:port>       once for each
          --listen <port>              default: 8080
          --sticky                     a client stays with its server
  spillway lb k8s|systemd [options]    Deployment, Service and autoscaler, or a unit
          --name, --image, --port, --drain-timeout, --drain-delay, --script

Without a name, commands mean the only supervisor that runs.
`
