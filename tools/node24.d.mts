/** Types of node24.mjs, which is plain JavaScript because it runs before anything is installed. */
import type { SpawnOptions } from 'node:child_process';

export const root: string;
export const wantedMajor: number;
export function node24Package(platform?: string, arch?: string): string | undefined;
export function selfIsNode24(version?: string): boolean;
export function findNode24(): string | undefined;
export function node24Missing(): string;
export function runNode24(script: string, args?: string[], options?: SpawnOptions): Promise<number>;
export function execNode24(script: string, args?: string[]): Promise<void>;
