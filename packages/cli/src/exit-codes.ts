/** What the process ends with. Part of the interface: scripts branch on it. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  overBudget: 4,
  unauthenticated: 5,
  unreachable: 6,
  unavailable: 69,
  configuration: 78,
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const exitCodeHelp = `Exit codes:
   0  done
   1  the video failed or was canceled, or the server refused for another reason
   2  the command line or the request is not valid
   3  there is no such video
   4  over budget
   5  the API key is missing or wrong
   6  the server cannot be reached
  69  serve: port or data folder in use, or a part that it needs not reachable
  78  serve: the configuration is not valid
 130  stopped with Ctrl-C; a video that was created goes on`;
