// node-resque: at most once by itself. With retryStuckJobs the scheduler takes the job of a worker that
// no longer pings back from the failed list, and it runs again.
'use strict';
const s = require('./lib/scenario');
const { Queue, Worker, Scheduler, Plugins } = require('node-resque');

const connection = { pkg: 'ioredis', host: '127.0.0.1', port: s.port, database: 0 };
const quiet = emitter => emitter.on('error', () => {});

async function worker() {
  const jobs = { perform: {
    perform: name => s.perform(name),
    plugins: [Plugins.Retry], pluginOptions: { Retry: { retryLimit: 3, retryDelay: 10 } },
  } };
  const worker = quiet(new Worker({ connection, queues: ['jobs'], timeout: 500 }, jobs));
  await worker.connect();
  await worker.start();
  const scheduler = quiet(new Scheduler({ connection, timeout: 200, leaderLockTimeout: 2, stuckWorkerTimeout: 3000,
                                          retryStuckJobs: true }, jobs));
  await scheduler.connect();
  await scheduler.start();
}

async function story() {
  s.library('node-resque');
  s.promise("a killed worker's job runs again (retryStuckJobs)");
  const queue = quiet(new Queue({ connection }, { perform: { perform: () => {} } }));
  await queue.connect();

  const jobs = s.firstJobs();
  await queue.enqueue('jobs', 'perform', ['hang-0']);
  for (const name of [...jobs.plain, ...jobs.flaky, ...jobs.doomed]) await queue.enqueue('jobs', 'perform', [name]);
  for (const name of jobs.later) await queue.enqueueAt(jobs.due + 1000, 'jobs', 'perform', [name]);   // it rounds to seconds, and so does who performs it
  s.startWorkers(3);

  await s.killWorkerInTheMiddleOf('hang-0');
  s.startWorker();
  await s.until('the first jobs are done', () => s.allDone([...jobs.succeeding, ...jobs.hang]));
  await s.until('the doomed jobs are on the failed list', async () => await queue.failedCount() === jobs.doomed.length);
  s.checkFirstJobs(jobs, { attempts: 3 });
  const failed = await queue.failed(0, -1);
  s.check('the failed list says what failed, and why', jobs.doomed.every(name => failed.some(job =>
    job.payload.args[0] === name && job.error === `${name} fails`)), JSON.stringify(failed[0]));

  const wave = s.names('plain-wave', 70);
  const acknowledged = await s.addThroughServerKill(wave, name => queue.enqueue('jobs', 'perform', [name]));
  await s.until('what was acknowledged is done', () => s.allDone(acknowledged));
  s.checkWave(acknowledged, 3);
  await s.until('nothing waits', async () => await queue.length('jobs') === 0);
  s.check('nothing else failed', await queue.failedCount() === jobs.doomed.length);
  await s.finish();
}

(s.isWorker ? worker() : story()).catch(s.isWorker ? console.error : s.fail);
