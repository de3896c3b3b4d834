/**
 * A world from a seed: virtual time, disks that tear, a network that delays and breaks, and machines that can crash at any named
 * point. The same seed and the same program give the same trace.
 *
 *     const simulation = createSimulation(seed);
 *     simulation.crashAt('journal.afterAppend');
 *     await simulation.run((runtime) => workload(runtime)).catch(mustBeCrash);
 *     await simulation.run((runtime) => verify(runtime));      // the next life, on what the disk kept
 */
import type {Runtime} from '#runtime/runtime.ts';
import {Life, SimulatedCrash} from '#runtime/sim/life.ts';
import {Scheduler} from '#runtime/sim/scheduler.ts';
import {simClock} from '#runtime/sim/sim-clock.ts';
import {SimDisk} from '#runtime/sim/sim-disk.ts';
import {SimNet} from '#runtime/sim/sim-net.ts';
import {type LogLine, simLog, simMetrics} from '#runtime/sim/sim-observers.ts';
import {SimRandom} from '#runtime/sim/sim-random.ts';

/** What is kept of the trace; what comes later is only counted. */
const traceLinesMax = 200_000;

export interface SimMachine {
  readonly name: string;
  /** Of its present life. After a crash this is another one. */
  readonly runtime: Runtime;
  readonly disk: SimDisk;
  readonly log: readonly LogLine[];
  /** Power loss: ends the present life and begins the next, on what the disk kept. */
  crash(): void;
  /** kill -9: ends the life alone. The next one sees everything that was written, and power loss may still take what no sync has named. */
  kill(): void;
}

/** What ends a life. */
export type Death = 'crash' | 'kill';

export class Simulation implements SimMachine {
  readonly name = 'main';
  readonly net = new SimNet();
  /** What happened, in order: the same for the same seed. */
  readonly trace: string[] = [];
  /** How often each crash point was passed, by name. */
  readonly pointsHit = new Map<string, number>();
  readonly #scheduler = new Scheduler();
  readonly #random: SimRandom;
  readonly #machines = new Map<string, Machine>();
  #plan: {readonly point: string; readonly hit: number; readonly death: Death} | undefined;

  constructor(seed: number) {
    this.#random = new SimRandom(seed);
    this.machine(this.name);
  }

  /** A machine of that name; made when it is first asked for. */
  machine(name: string): SimMachine {
    let machine = this.#machines.get(name);
    if (!machine) {
      machine = new Machine(name, this.#scheduler, new SimRandom(this.#random.bits()), this.net, (line) => this.#note(line), (life, point) => this.#pass(life, point));
      this.#machines.set(name, machine);
    }
    return machine;
  }

  get runtime(): Runtime {
    return this.#main.runtime;
  }

  get disk(): SimDisk {
    return this.#main.disk;
  }

  get log(): readonly LogLine[] {
    return this.#main.log;
  }

  get nowMs(): number {
    return this.#scheduler.nowMs;
  }

  crash(): void {
    this.#main.crash();
  }

  kill(): void {
    this.#main.kill();
  }

  /** Sets the wall clocks of all machines forward, or (less than 0) back. */
  setClock(byMs: number): void {
    this.#scheduler.wallOffsetMs += byMs;
  }

  /** The machine that passes `point` for the `hit`-th time from now on dies there. One plan at a time. */
  crashAt(point: string, hit = 1, death: Death = 'crash'): void {
    this.#plan = {point, hit: hit + (this.pointsHit.get(point) ?? 0), death};
  }

  /**
   * Runs until `fn` is done, in virtual time. Rejects with SimulatedCrash when the main machine crashed meanwhile, with what `fn` threw, or
   * when everybody waits for nothing. What goes on in the background stands still between runs.
   */
  async run<T>(fn: (runtime: Runtime) => Promise<T>): Promise<T> {
    const {life} = this.#main;
    let outcome: {readonly value: Promise<T>} | undefined;
    const running = fn(this.runtime);
    running.then(
      () => (outcome = {value: running}),
      () => (outcome = {value: running}),
    );
    return await this.#scheduler.run(() => (life.crash ? {value: Promise.reject<T>(life.crash)} : outcome));
  }

  get #main(): Machine {
    return this.#machines.get(this.name)!;
  }

  #note(line: string): void {
    if (this.trace.length < traceLinesMax) this.trace.push(line);
  }

  #pass(life: Life, point: string): void {
    const hits = (this.pointsHit.get(point) ?? 0) + 1;
    this.pointsHit.set(point, hits);
    life.note(`point ${point}`);
    if (this.#plan?.point !== point || hits < this.#plan.hit) return;
    const {death} = this.#plan;
    this.#plan = undefined;
    this.#machines.get(life.machine)![death](`${point}, hit ${hits}`);
    life.check();
  }
}

export function createSimulation(seed: number): Simulation {
  return new Simulation(seed);
}

class Machine implements SimMachine {
  readonly name: string;
  readonly disk = new SimDisk();
  readonly log: LogLine[] = [];
  life: Life;
  runtime: Runtime;
  #boots = 1;
  readonly #begin: () => Life;
  readonly #net: SimNet;
  readonly #pass: (life: Life, point: string) => void;

  constructor(name: string, scheduler: Scheduler, random: SimRandom, net: SimNet, note: (line: string) => void, pass: (life: Life, point: string) => void) {
    this.name = name;
    this.#begin = () => new Life(name, scheduler, random, note);
    this.#net = net;
    this.#pass = pass;
    this.life = this.#begin();
    this.runtime = this.#boot();
  }

  crash(why = 'power loss'): void {
    const {life} = this;
    life.end(new SimulatedCrash(why));
    this.disk.crash(life);
    this.#boots++;
    this.#beginAgain();
  }

  kill(why = 'kill -9'): void {
    this.life.end(new SimulatedCrash(why));
    this.#beginAgain();
  }

  #beginAgain(): void {
    this.life = this.#begin();
    this.runtime = this.#boot();
  }

  #boot(): Runtime {
    const {life, name} = this;
    const random = new SimRandom(life.random.bits());
    return {
      clock: simClock(life),
      random: {number: () => random.number(), bytes: (count) => random.bytes(count), id: () => random.id()},
      disk: this.disk.mount(life),
      net: this.#net.attach(life),
      log: simLog(this.log, {machine: name}),
      metrics: simMetrics(),
      boot: `boot ${this.#boots}`,
      crashPoint: (point) => {
        life.check();
        this.#pass(life, point);
      },
    };
  }
}
