/** Whether the host of a URL (as `URL.hostname` spells it) is this machine by its name or literal; nothing is looked up. */
export function isLoopbackHost(hostname: string): boolean {
  return /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
}

/** Whether an address, as a resolver answers it, is this machine. */
export function isLoopbackAddress(address: string): boolean {
  return address === '::1' || /^127(\.\d+){3}$/.test(address);
}
