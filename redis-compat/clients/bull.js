// Bull: at least once; exactly once unless a worker or the server dies in the middle. A job whose worker
// died is found stalled and run again.
'use strict';
const s = require('./lib/scenario');
const Queue = require('bull');

const settings = { stalledInterval: 500, lockDuration: 1500, maxStalledCount: 5 };
const open = () => new Queue('jobs', { redis: { port: s.port, host: '127.0.0.1' }, settings }).on('error', () => {});

function worker() {
  open().process('*', job => s.perform(job.name));
}

async function story() {
  s.library('bull');
  s.promise("a killed worker's job runs again");
  const queue = open();
  const told = new Set();         // through pub/sub
  queue.on('global:completed', id => told.add(id));
  await queue.isReady();
  const add = (name, options = {}) => queue.add(name, {}, { jobId: name, attempts: 3, ...options });

  const jobs = s.firstJobs();
  await add('hang-0');
  for (const [i, name] of jobs.plain.entries()) await add(name, i < 10 ? { priority: i + 1 } : {});
  for (const name of jobs.flaky) await add(name, { backoff: { type: 'exponential', delay: 50 } });
  for (const name of jobs.doomed) await add(name);
  for (const name of jobs.later) await add(name, { delay: jobs.due - Date.now() });
  s.startWorkers(3);

  await s.killWorkerInTheMiddleOf('hang-0');
  s.startWorker();
  const succeeding = [...jobs.succeeding, ...jobs.hang];
  await s.until('the first jobs are done', () => s.allDone(succeeding));
  await s.until('the doomed jobs have failed', async () => await queue.getFailedCount() === jobs.doomed.length);
  await s.until('the last result is stored', async () => await queue.getCompletedCount() === succeeding.length);
  s.checkFirstJobs(jobs, { attempts: 3 });
  const results = await Promise.all(succeeding.map(name => queue.getJob(name).then(job => job.returnvalue)));
  s.check('every result is stored', succeeding.every((name, i) => results[i] === `result of ${name}`));
  await s.until('the events tell of every completed job', () => succeeding.every(name => told.has(name)));

  // A paused queue takes jobs and gives none.
  await queue.pause();
  await add('plain-paused');
  await s.sleep(100);
  s.check('a paused queue gives nothing', s.times('start', 'plain-paused') === 0);
  await queue.resume();
  await s.until('a resumed queue goes on', () => s.allDone(['plain-paused']));

  const wave = [...s.names('plain-wave', s.fast ? 30 : 60), ...s.names('flaky-wave', 10), ...s.names('later-wave', 10)];
  const acknowledged = await s.addThroughServerKill(wave, name =>
    add(name, name.startsWith('later') ? { delay: 400 } : {}));
  await s.until('what was acknowledged is done', () => s.allDone(acknowledged));
  s.checkWave(acknowledged, 3);
  await s.until('nothing waits, runs or is late', async () => {
    const { waiting, active, delayed } = await queue.getJobCounts();
    return waiting + active + delayed === 0;
  });
  s.check('only the doomed jobs failed', await queue.getFailedCount() === jobs.doomed.length);
  await s.finish();
}

if (s.isWorker) worker();
else story().catch(s.fail);
