import type { Model } from '../catalog/models.ts';
import type { SandboxEvent } from '../engine/events.ts';
import { seeded } from '../random.ts';
import type { ServiceCode } from '../wire/codes.ts';
import { GatewayFault, Refusal } from '../wire/codes.ts';
import type { FaultHit, FaultName, FaultPhase } from './catalogue.ts';
import { phaseOf } from './catalogue.ts';
import { readMagicWords } from './magic-words.ts';
import type { ActiveRule, FaultRule } from './rules.ts';

/** What a rule can look at. */
export interface FaultSubject {
  readonly call: FaultRule['call'];
  readonly model?: Model;
  readonly prompt?: string;
  readonly externalId?: string | undefined;
}

export interface Faults {
  /** The first fault that refuses this call; counts as used. */
  drawRefusal(subject: FaultSubject): FaultHit | undefined;
  /** Every fault of an answer, task, callback or file that strikes this create; each counts as used. */
  drawForTask(subject: FaultSubject): readonly FaultHit[];
}

/** Where the state of rules and words is kept, and changed through events. */
export interface FaultMemory {
  readonly rules: ReadonlyMap<number, ActiveRule>;
  readonly wordUses: ReadonlyMap<string, number>;
}

/** Rules of the admin API first, in the order of their making, then magic words. All draws are seeded. */
export function createFaults(seed: number, memory: FaultMemory, record: (event: SandboxEvent) => void): Faults {
  function strikes(active: ActiveRule): boolean {
    const { rule } = active;
    if (rule.count !== null && active.used >= rule.count) return false;
    active.seen++;
    if (rule.rate < 1 && seeded(seed, `fault-${rule.id}`, active.seen) >= rule.rate) return false;
    record({ t: 'rule_used', id: rule.id, used: active.used + 1, seen: active.seen });
    return true;
  }

  function* rulesFor(
    subject: FaultSubject,
    wanted: (phase: FaultPhase, name: FaultName) => boolean,
  ): Generator<FaultHit> {
    for (const active of memory.rules.values()) {
      const { rule } = active;
      if (!wanted(phaseOf(rule.fault), rule.fault) || !matches(rule, subject) || !strikes(active)) continue;
      const { fault, delay_ms: delayMs, times } = rule;
      yield { name: fault, times, ...(delayMs === undefined ? {} : { delayMs }) };
    }
  }

  /** Refusing words work a number of times per exact prompt, so that a repeat gets through. */
  function refusingWord(prompt: string): FaultHit | undefined {
    return readMagicWords(prompt).find(({ name, times, word }) => {
      if (phaseOf(name) !== 'refuse') return false;
      if (times === null) return true;
      const key = `${word}\n${prompt}`;
      if ((memory.wordUses.get(key) ?? 0) >= times) return false;
      record({ t: 'word_used', word: key });
      return true;
    });
  }

  return {
    drawRefusal(subject) {
      const isRead = subject.call !== 'create';
      for (const hit of rulesFor(subject, (phase, name) => phase === 'refuse' || (isRead && name === 'slow_headers')))
        return hit;
      return subject.prompt === undefined || isRead ? undefined : refusingWord(subject.prompt);
    },
    drawForTask(subject) {
      const words = readMagicWords(subject.prompt ?? '').filter(({ name }) => phaseOf(name) !== 'refuse');
      return [
        ...rulesFor(subject, (phase) => phase !== 'refuse'),
        ...words.map(({ name, times, delayMs }) => ({ name, times, ...(delayMs === undefined ? {} : { delayMs }) })),
      ];
    },
  };
}

/** @throws what a refusing fault answers with */
export function throwRefusal({ name }: FaultHit): never {
  if (name === 'html_502' || name === 'reset') throw new GatewayFault(name);
  throw new Refusal(Number(name) as ServiceCode); // the catalogue's other refusing names are service codes
}

function matches({ call, match }: FaultRule, subject: FaultSubject): boolean {
  if (call !== subject.call) return false;
  if (match.prompt !== undefined && !subject.prompt?.includes(match.prompt)) return false;
  if (match.external_id !== undefined && subject.externalId !== match.external_id) return false;
  if (match.model === undefined) return true;
  const { version, legacyName, standardName } = subject.model ?? {};
  return [version, legacyName, standardName].includes(match.model);
}
