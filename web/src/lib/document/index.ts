export { SCHEMA_VERSION, textOf } from './content';
export type { Action, Goal, GoalLink, Indicator, IndicatorValues, Relation } from './goals';
export { cleanLocalCopies, forgetLocalCopies, LiveDocument, type LiveEvent } from './live.svelte';
export type { Words } from './local-copy';
export type { Peer } from './presence';
export type { Trouble } from './replica';
export type { SaveStatus } from '$lib/state/state';
