// bee-queue: at least once. A job whose worker died is found stalled and run again. It loads its scripts when
// it starts and never again: when the server was restarted it must be, too.
'use strict';
const s = require('./lib/scenario');
const Queue = require('bee-queue');

function open(options) {
  const queue = new Queue('jobs', {
    redis: { port: s.port, host: '127.0.0.1', retry_strategy: () => 100 }, stallInterval: 1000,
    activateDelayedJobs: true, nearTermWindow: 1000, delayedDebounce: 100, quitCommandClient: true, ...options,
  }).on('error', () => {});
  if (!options.isWorker) queue.ready().catch(() => {});   // opened just when the server dies: so says save, too
  return queue;
}

function worker() {
  process.on('unhandledRejection', () => process.exit(1));      // whoever watches it starts another
  const queue = open({ isWorker: true });
  queue.process(job => s.perform(job.data.name));
  queue.checkStalledJobs(500, problem => problem && process.exit(1));
}

async function story() {
  s.library('bee-queue');
  s.promise("a killed worker's job runs again");
  let queue = open({ isWorker: false });
  const told = new Map();         // results, through pub/sub
  queue.on('job succeeded', (id, result) => told.set(id, result));
  await queue.ready();
  const add = (name, change = job => job) =>
    change(queue.createJob({ name }).setId(name).retries(2)).save();

  const jobs = s.firstJobs();
  await add('hang-0');
  for (const name of jobs.plain.slice(20)) await add(name);
  await queue.saveAll(jobs.plain.slice(0, 20).map(name => queue.createJob({ name }).setId(name)));
  for (const name of jobs.flaky) await add(name, job => job.backoff('fixed', 50));
  for (const name of jobs.doomed) await add(name);
  for (const name of jobs.later) await add(name, job => job.delayUntil(jobs.due));
  s.startWorkers(3);

  await s.killWorkerInTheMiddleOf('hang-0');
  s.startWorker();
  const succeeding = [...jobs.succeeding, ...jobs.hang];
  await s.until('the first jobs are done', () => s.allDone(succeeding));
  await s.until('the doomed jobs have failed', async () => (await queue.checkHealth()).failed === jobs.doomed.length);
  await s.until('the last result is stored', async () => (await queue.checkHealth()).succeeded === succeeding.length);
  s.checkFirstJobs(jobs, { attempts: 3 });
  await s.until('every result was told', () => succeeding.every(name => told.get(name) === `result of ${name}`));

  const wave = [...s.names('plain-wave', s.fast ? 30 : 60), ...s.names('flaky-wave', 10), ...s.names('later-wave', 10)];
  const acknowledged = await s.addThroughServerKill(wave, name =>
    add(name, job => name.startsWith('later') ? job.delayUntil(Date.now() + 400) : job).catch(problem => {
      if (['EVALSHA', 'INFO'].includes(problem.command)) queue = open({ isWorker: false });
      throw problem;
    }));
  await s.until('what was acknowledged is done', () => {
    s.restartDeadWorkers();
    return s.allDone(acknowledged);
  });
  s.checkWave(acknowledged, 3);
  await s.until('nothing waits, runs or is late', async () => {
    s.restartDeadWorkers();
    const { waiting, active, delayed } = await queue.checkHealth();
    return waiting + active + delayed === 0;
  });
  s.check('only the doomed jobs failed', (await queue.checkHealth()).failed === jobs.doomed.length);
  await s.finish();
}

if (s.isWorker) worker();
else story().catch(s.fail);
