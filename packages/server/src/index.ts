export { runServer, type RunOptions } from './main.ts';
export { ConfigError, readConfig, roles, type Config, type Environment, type Role } from './config.ts';
export { compose, type Platform } from './compose.ts';
