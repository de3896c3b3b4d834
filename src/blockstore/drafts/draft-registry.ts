/** All named drafts: those that are open, and those that are on disk for whoever knows their names. */
import {assert} from '#base/assert.ts';
import {isKind, WeirError} from '#base/errors.ts';
import type {ContentId} from '#base/ids.ts';
import type {LeftDraft, NamedDraft, NamedDrafts} from '#blockstore/block-store.ts';
import type {DraftServices} from '#blockstore/draft-place.ts';
import {type DraftFolder, draftPath, OpenDraft} from '#blockstore/drafts/named-draft.ts';
import type {LargeContent} from '#blockstore/files/large-content.ts';
import type {Tier} from '#blockstore/tier.ts';

const namePattern = /^[A-Za-z0-9_-]{1,200}$/;
const filePattern = /^([A-Za-z0-9_-]{1,200})\.([0-9a-f]{1,14})$/;

interface Left {
  readonly name: string;
  readonly tier: Tier;
  readonly number: number;
  readonly length: number;
  /** Of the quota. */
  counted: number;
  sealed?: {readonly content: LargeContent; readonly hold: Disposable} | undefined;
}

export interface RegistryServices {
  readonly drafts: DraftServices;
  /** Those that may have some, in the order in which new ones choose. */
  readonly tiers: readonly Tier[];
  readonly drop: (id: ContentId) => Promise<void>;
  /** When contents of earlier lives are known. */
  readonly loaded: () => Promise<void>;
}

export class DraftRegistry implements NamedDrafts, DraftFolder {
  readonly #services: RegistryServices;
  readonly #open = new Map<string, OpenDraft>();
  /** Being made, opened or discarded. */
  readonly #busy = new Set<string>();
  readonly #left = new Map<string, Left>();

  constructor(services: RegistryServices) {
    this.#services = services;
  }

  get services(): DraftServices {
    return this.#services.drafts;
  }

  /** Finds what earlier lives have left, before anything new is made. */
  async look(): Promise<void> {
    for (const tier of this.#services.tiers) {
      const {disk} = tier.runtime;
      for (const file of await disk.readDirectory(tier.path('drafts'))) {
        const [, name, hex] = filePattern.exec(file) ?? [];
        if (name === undefined) continue;
        const {size, allocated} = await disk.stat(tier.path('drafts', file));
        this.#left.set(name, {name, tier, number: Number.parseInt(hex!, 16), length: size, counted: allocated});
        tier.release(-allocated);
      }
    }
  }

  /** Contents of earlier lives are known: those that share a draft's bytes are held. */
  replayed(): void {
    for (const left of this.#left.values()) {
      const content = this.services.large.byNumber(left.tier, left.number);
      if (!content) continue;
      left.sealed = {content, hold: content.holdAll()};
      left.tier.release(left.counted);
      left.counted = 0;
    }
  }

  async make(name: string, bytes = 0): Promise<NamedDraft | undefined> {
    assert(namePattern.test(name), 'names of drafts are plain');
    return await this.#alone(name, async () => {
      this.#mustBeFree(name);
      for (const tier of this.#services.tiers) {
        if (!(await tier.reserve(bytes))) continue;
        const number = this.services.large.nextNumber();
        try {
          const file = await tier.runtime.disk.open(draftPath(tier, name, number), {mode: 'exclusive'});
          return this.#opened(new OpenDraft(this, {tier, name, number}, file, {fresh: true, reserved: bytes}));
        } catch (error) {
          tier.release(bytes);
          tier.failed(error);
        }
      }
      return undefined;
    });
  }

  async open(name: string): Promise<NamedDraft> {
    await this.#services.loaded();
    return await this.#alone(name, async () => {
      const left = this.#left.get(name);
      if (!left) throw new WeirError('NotFound', `there is no draft ${name}`);
      const {tier, number, sealed} = left;
      const file = await tier.runtime.disk.open(draftPath(tier, name, number), {mode: 'write'});
      const draft = new OpenDraft(this, {tier, name, number}, file, {fresh: false, reserved: 0});
      try {
        if (sealed && !sealed.content.gone) await this.#services.drop(sealed.content.id);
        if (sealed) left.counted += sealed.content.bytes;
        if (sealed) tier.release(-sealed.content.bytes);
        this.#letGo(left);
        await draft.load(left.counted);
      } catch (error) {
        await file.close();
        throw error;
      }
      this.#left.delete(name);
      return this.#opened(draft);
    });
  }

  async left(): Promise<readonly LeftDraft[]> {
    await this.#services.loaded();
    return Array.from(this.#left.values(), ({name, length, sealed}) => ({name, length, ...(sealed && !sealed.content.gone ? {sealed: sealed.content.id} : {})}));
  }

  async discard(name: string): Promise<void> {
    await this.#services.loaded();
    await this.#alone(name, async () => {
      const left = this.#left.get(name);
      if (!left) return;
      await left.tier.runtime.disk.unlink(draftPath(left.tier, name, left.number)).catch((error: unknown) => {
        if (!isKind(error, 'NotFound')) throw error;
      });
      this.#left.delete(name);
      this.#letGo(left);
      left.tier.release(left.counted);
    });
  }

  renamed(draft: OpenDraft, name: string): void {
    assert(namePattern.test(name), 'names of drafts are plain');
    this.#mustBeFree(name);
    this.#open.delete(draft.name);
    this.#open.set(name, draft);
  }

  gone(draft: OpenDraft, left: boolean): void {
    const {name, tier, number, length, counted, sealed} = draft;
    this.#open.delete(name);
    if (left) this.#left.set(name, {name, tier, number, length, counted, sealed});
  }

  /** What is open stays on disk. */
  async close(): Promise<void> {
    for (const draft of this.#open.values()) await draft.close();
  }

  #opened(draft: OpenDraft): OpenDraft {
    this.#open.set(draft.name, draft);
    return draft;
  }

  #letGo(left: Left): void {
    const {sealed} = left;
    if (!sealed) return;
    left.sealed = undefined;
    sealed.hold[Symbol.dispose]();
    this.services.large.settle(sealed.content);
  }

  #mustBeFree(name: string): void {
    if (this.#open.has(name) || this.#left.has(name)) throw new WeirError('AlreadyExists', `there is a draft ${name} already`);
  }

  async #alone<T>(name: string, work: () => Promise<T>): Promise<T> {
    if (this.#busy.has(name)) throw new WeirError('AlreadyExists', `the draft ${name} is being made, opened or discarded`);
    this.#busy.add(name);
    try {
      return await work();
    } finally {
      this.#busy.delete(name);
    }
  }
}
