// What the JavaScript scenarios share: the jobs, the side file in which workers note what they did
// (never in the server under test), starting and killing workers, killing the server, checking.
//
// The name of a job says what becomes of it when a worker performs it:
//   plain-3    succeeds
//   flaky-3    fails the first time, then succeeds
//   doomed-3   fails each time
//   later-3    succeeds, and must not begin before it is due
//   hang-0     the first time never ends (its worker is then killed), then succeeds
'use strict';
const fs = require('fs');
const path = require('path');
const readline = require('readline');
const { spawn } = require('child_process');

const port = Number(process.env.PORT);
const fast = process.env.FAST === '1';
const serverDies = process.env.KILL === '1';
const side = path.join(process.env.WORK, 'effects');
const patience = 60000;     // for what must come; how long it takes is not tested

const say = line => process.stdout.write(line + '\n');
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));
const names = (kind, count) => Array.from({ length: count }, (_, i) => `${kind}-${i}`);

// --- the side file: one line "event name pid time" per effect, appended whole ---------------------

function note(event, name) {
  fs.appendFileSync(side, `${event} ${name} ${process.pid} ${Date.now()}\n`);
}

function noted(event, name) {
  if (!fs.existsSync(side)) return [];
  return fs.readFileSync(side, 'utf8').split('\n').filter(Boolean).map(line => line.split(' '))
    .filter(([e, n]) => e === event && (name === undefined || n === name))
    .map(([, n, pid, time]) => ({ name: n, pid: Number(pid), time: Number(time) }));
}

const times = (event, name) => noted(event, name).length;

// What every worker does with a job.
async function perform(name) {
  const kind = name.split('-')[0];
  const first = kind === 'plain' || times('start', name) === 0;
  note('start', name);
  if (kind === 'hang' && first) await new Promise(resolve => setTimeout(resolve, 1 << 30));
  if (kind === 'doomed' || (kind === 'flaky' && first)) {
    note('fail', name);
    throw new Error(`${name} fails`);
  }
  await sleep(3);
  note('done', name);
  return `result of ${name}`;
}

// --- the scenario's side ---------------------------------------------------------------------------

let failed = false;
function check(what, holds, detail = '') {
  failed ||= !holds;
  say(holds ? `ok ${what}` : `not ok ${what}${detail ? ': ' + detail : ''}`);
}

async function until(what, holds, limit = patience) {
  for (const end = Date.now() + limit; ;) {
    if (await holds()) return true;
    if (Date.now() > end) { check(what, false, 'it never came'); return false; }
    await sleep(20);
  }
}

// The version, and a skip where the library wants a newer node than the one that is here.
function library(...packages) {
  const read = name => JSON.parse(fs.readFileSync(path.join(__dirname, '..', 'node_modules', name, 'package.json')));
  say('version ' + packages.map(name => `${read(name).name} ${read(name).version}`).join(', '));
  for (const name of packages) {
    const wanted = /(\d+)/.exec((read(name).engines || {}).node || '0')[1];
    if (Number(process.versions.node.split('.')[0]) < Number(wanted)) {
      say(`skip ${name} needs node ${wanted}, this is ${process.version}`);
      process.exit(0);
    }
  }
}

const promise = text => say('promise ' + text);
const workers = [];

// A worker is this same file with the word `worker`.
function startWorker() {
  const child = spawn(process.execPath, [...process.argv.slice(1, 2), ...process.argv.slice(2), 'worker'],
                      { stdio: ['ignore', 2, 2] });
  workers.push(child);
  return child;
}
// What a supervisor does.
function restartDeadWorkers() {
  for (const child of workers.filter(child => child.exitCode !== null || child.signalCode !== null)) {
    workers.splice(workers.indexOf(child), 1);
    startWorker();
  }
}

const startWorkers = count => { for (let i = 0; i < count; i++) startWorker(); };
const isWorker = process.argv.includes('worker');

// The worker that is in the middle of this job dies without a word.
async function killWorkerInTheMiddleOf(name) {
  if (!await until(`${name} is begun`, () => times('start', name) > 0)) return;
  process.kill(noted('start', name)[0].pid, 'SIGKILL');
}

let answers;
async function killServer() {
  answers ||= readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  say('kill server');
  await answers.next();
}

// Adds the jobs one after the other; when half are added, faster than they are performed, the server dies
// (against Sluice), and the adding goes on. Returns the names whose adding was acknowledged.
async function addThroughServerKill(jobs, add) {
  const acknowledged = [];
  let killing;
  for (const name of jobs) {
    if (serverDies && !killing && acknowledged.length > jobs.length / 2) killing = killServer();
    try {
      await add(name);
      acknowledged.push(name);
    } catch (problem) {
      say(`# adding ${name}: ${problem.message}`);
      await sleep(100);
    }
    if (killing) await sleep(5);
  }
  await killing;
  return acknowledged;
}

const every = (what, jobs, holds) => {
  const bad = jobs.filter(name => !holds(name));
  check(what, bad.length === 0, bad.slice(0, 5).map(name =>
    `${name} (start ${times('start', name)}, fail ${times('fail', name)}, done ${times('done', name)})`).join(', '));
};
const allDone = jobs => {
  const done = new Set(noted('done').map(effect => effect.name));
  return jobs.every(name => done.has(name));
};

// The jobs of the first part, and what must hold of them when all is quiet again.
function firstJobs() {
  const jobs = {
    plain: names('plain', fast ? 40 : 70), flaky: names('flaky', 10), doomed: names('doomed', 5),
    later: names('later', 10), hang: names('hang', 1), due: Date.now() + 1500,
  };
  return { ...jobs, succeeding: [...jobs.plain, ...jobs.flaky, ...jobs.later] };
}

function checkFirstJobs(jobs, { attempts, hangRunsAgain = true }) {
  every('plain jobs ran once', jobs.plain, name => times('start', name) === 1 && times('done', name) === 1);
  every('flaky jobs ran twice', jobs.flaky, name => times('fail', name) === 1 && times('done', name) === 1);
  every(`doomed jobs ran ${attempts} times`, jobs.doomed, name =>
    times('fail', name) === attempts && times('done', name) === 0);
  every('later jobs ran once, not before they were due', jobs.later, name =>
    times('done', name) === 1 && noted('start', name)[0].time >= jobs.due - 5);
  if (hangRunsAgain) every("the killed worker's job ran again", jobs.hang, name =>
    times('start', name) === 2 && times('done', name) === 1);
  else every("the killed worker's job did not run again", jobs.hang, name => times('start', name) === 1);
}

// After a server kill: what was acknowledged is done; run twice is at most what each worker had in hand.
function checkWave(acknowledged, inHand) {
  every('every acknowledged job is done', acknowledged, name => times('done', name) > 0);
  const again = acknowledged.reduce((sum, name) => sum + Math.max(0, times('done', name) - 1), 0);
  const most = serverDies ? inHand : 0;
  check(`at most ${most} jobs ran twice`, again <= most, `${again} did`);
}

async function finish() {
  for (const child of workers) child.kill('SIGKILL');
  process.exit(failed ? 1 : 0);
}

function fail(problem) {
  check('the scenario comes to its end', false, problem.message);
  console.error(problem);
  process.exit(1);
}
process.on('unhandledRejection', isWorker ? console.error : fail);

module.exports = {
  port, fast, serverDies, isWorker, names, sleep, note, noted, times, perform, check, until, library, promise,
  startWorker, startWorkers, restartDeadWorkers, killWorkerInTheMiddleOf, killServer, addThroughServerKill, every, allDone,
  firstJobs, checkFirstJobs, checkWave, finish, fail,
};
