export { runServer, type RunOptions } from './main.ts';
export { ConfigError, readConfig, roles, type Config, type Environment, type Role } from './config.ts';
export { compose, type Platform } from './compose.ts';
export { migrateInstallation, withKeys, type AdminOptions, type Migrated } from './compose-admin.ts';
export { moveInstallation, type MoveOptions, type Moved } from './compose-move.ts';
